"use strict";
/* The one name that the scripts of the page share.
 *
 * Data (site, texts, figures, photographs, weights) are scripts of their own, so that the page works as a file as well.
 */
const lecture = { panels: {} };

/** Registers a panel: `build(stage, words)` fills an element, and may return a function called at every new picture. */
lecture.panel = (key, build) => { lecture.panels[key] = build; };
