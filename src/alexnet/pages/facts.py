"""The numbers of a run: the headline, the settings, the timings, the pictures that were left out."""

from datetime import datetime, timedelta
from statistics import median
from typing import Any

from alexnet.pages.markup import THIN, compact, duration, escape, name, percent, plural, whole
from alexnet.pages.run import Record, Run, number, record, records

QUARANTINED = 50
NEAR = 0.98


def headline(run: Run) -> str:
    """The errors in large figures, or a sentence that says why there are none."""
    top1, n = number(run.evaluation.get("top1_error")), number(run.evaluation.get("n"))
    if top1 is not None and n:
        return _measured(run, top1, n)
    errors = [number(line.get("val_top1_error")) for line in run.validations]
    best = min((error for error in errors if error is not None), default=None)
    hint = '<p class="hint">Not evaluated yet: <code>alexnet evaluate</code> gives the error and its range.</p>'
    found = '<p class="none">No error measured yet.</p>'
    if best is not None:
        found = f'<div class="figures">{_figure("Best top-1 error in validation", best)}</div>'
    return f'<div class="headline">{found}{hint}</div>'


def standing(run: Run) -> str:
    """A sentence for a run that stands short of its plan; "" for one that reached it, or without a plan."""
    train, lines = record(run.config.get("train")), run.steps + run.validations
    for unit in ("step", "epoch"):
        planned = number(train.get(f"{unit}s"))
        done = max((v for line in lines if (v := number(line.get(unit))) is not None), default=None)
        if planned and done is not None:
            is_short = done < (planned * NEAR if unit == "step" else planned - 1)
            return f"The training stands at {unit} {done:,.6g} of {planned:,.6g}." if is_short else ""
    return ""


def key_facts(run: Run) -> str:
    """What was trained, on what, for how long."""
    data = record(run.config.get("data"))
    counts, seconds = record(data.get("counts")), number(run.config.get("seconds"))
    size, parameters = number(run.config.get("input_size")), number(run.config.get("parameters"))
    classes, trained = run.config.get("classes"), number(counts.get("train"))
    facts = [
        ("Recipe", name(run.config["recipe"]) if "recipe" in run.config else ""),
        ("Parameters", compact(parameters) if parameters else ""),
        ("Input", f"{size:.0f}{THIN}×{THIN}{size:.0f}" if size else ""),
        ("Classes", whole(len(classes)) if isinstance(classes, list) else ""),
        ("Training pictures", whole(trained) if trained else ""),
        ("Training time", duration(seconds) if seconds else ""),
    ]
    items = "".join(f"<div><dt>{what}</dt><dd>{value}</dd></div>" for what, value in facts if value)
    return f'<dl class="facts">{items}</dl>' if items else ""


def settings(run: Run) -> str:
    """Every setting, grouped; "" without a configuration."""
    config = run.config
    about = {k: v for k, v in config.items() if k in ("variant", "recipe", "input_size", "parameters")}
    data = {k: v for k, v in record(config.get("data")).items() if k != "quarantine"}
    known = {"classes", "train", "preprocessing", "data", "versions", "started", "seconds", *about}
    rest = {k: v for k, v in config.items() if k not in known}
    groups = [
        ("Network", about),
        ("Training", record(config.get("train"))),
        ("Preprocessing", record(config.get("preprocessing"))),
        ("Data", data),
        ("More", rest),
    ]
    return "".join(_table(title, flat(values)) for title, values in groups if values)


def timings(run: Run) -> str:
    """Times and speeds, and the versions they were had with."""
    rates = [rate for line in run.steps if (rate := number(line.get("images_per_s")))]
    trained, tested = number(run.config.get("seconds")), number(run.evaluation.get("seconds"))
    times = {
        "started": _moment(run.config.get("started"), 0),
        "finished": _moment(run.config.get("started"), trained) if trained else None,
        "training": duration(trained) if trained else None,
        "training speed, median": f"{median(rates):,.4g} images/s" if rates else None,
        "evaluation": duration(tested) if tested else None,
    }
    shown = [(what, value) for what, value in times.items() if value]
    return _table("Timings", shown) + _table("Versions", flat(record(run.config.get("versions"))))


def quarantine(run: Run) -> str:
    """The pictures that could not be decoded and were left out; "" without any."""
    bad = records(record(run.config.get("data")).get("quarantine"))
    items = "".join(
        f'<li>{name(entry.get("name", "?"))} <span class="soft">{escape(entry.get("reason", ""))}</span></li>'
        for entry in bad[:QUARANTINED]
    )
    more = f"<li>… and {whole(len(bad) - QUARANTINED)} more</li>" if len(bad) > QUARANTINED else ""
    return f'<ul class="quarantine">{items}{more}</ul>' if bad else ""


def flat(values: Record, prefix: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested objects, with dotted keys."""
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        is_branch = isinstance(value, dict) and bool(value)
        pairs += flat(value, f"{prefix}{key}.") if is_branch else [(f"{prefix}{key}", value)]
    return pairs


def _measured(run: Run, top1: float, n: float) -> str:
    found = run.evaluation
    shares = [m for e in records(found.get("per_class")) if (m := number(e.get("n"))) is not None]
    naive = 1 - max(shares) / sum(shares) if sum(shares) else None
    figures = _figure("Top-1 error", top1, found.get("top1_interval"), naive)
    top5, is_few = number(found.get("top5_error")), 0 < len(shares) <= 5
    if top5 is not None and not is_few:
        figures += _figure("Top-5 error", top5, found.get("top5_interval"))
    few = " With five classes or fewer, five guesses are always enough." if is_few else ""
    return (
        f'<div class="headline"><div class="figures">{figures}</div>'
        f'<p class="hint">Measured on {_how(found, n)}. Ranges are 95{THIN}% intervals.{few}</p></div>'
    )


def _how(found: Record, n: float) -> str:
    """What was measured, as "654 pictures of the split test, the mean of 10 views"."""
    split = f" of the split {name(found['split'])}" if found.get("split") else ""
    views, models = number(found.get("views")) or 1, number(found.get("models")) or 1
    seen = "the centre view" if views == 1 else f"the mean of {whole(views)} views"
    nets = f", {whole(models)} networks averaged" if models > 1 else ""
    return f"{plural(n, 'picture')}{split}, {seen}{nets}"


def _figure(what: str, error: float, ends: Any = None, naive: float | None = None) -> str:
    pair = [number(end) for end in ends] if isinstance(ends, list) and len(ends) == 2 else []
    low, high = pair if len(pair) == 2 else (None, None)
    spread = f"{percent(low)} – {percent(high)}" if low is not None and high is not None else ""
    beside = f'<span class="naive">largest class always: {percent(naive)}</span>' if naive else ""
    value = f"{error * 100:.1f}<small>{THIN}%</small>"
    ruler = _ruler(error, low, high, naive) if low is not None and high is not None else ""
    return (
        f'<div class="figure"><h2>{what}</h2><p class="number">{value}</p>{ruler}'
        f'<p class="spread"><span>{spread}</span>{beside}</p></div>'
    )


def _ruler(error: float, low: float, high: float, naive: float | None) -> str:
    """A line from 0 to a little beyond the largest number, with the interval and the naive error on it."""
    end = min(1.0, 1.12 * max(high, naive or 0, 0.05))
    left, width, at = (f"{part / end * 100:.1f}%" for part in (low, high - low, error))
    tick = f'<i class="naive-tick" style="left:{naive / end * 100:.1f}%"></i>' if naive else ""
    return (
        f'<div class="ruler" aria-hidden="true"><i class="band" style="left:{left};width:{width}"></i>'
        f'<i class="at" style="left:{at}"></i>{tick}</div>'
    )


def _table(title: str, pairs: list[tuple[str, Any]]) -> str:
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(_value(v))}</td></tr>' for k, v in pairs)
    return f'<table class="settings"><caption>{title}</caption><tbody>{rows}</tbody></table>' if pairs else ""


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list):
        return ", ".join(_value(v) for v in value[:40])
    if isinstance(value, int) and abs(value) >= 10_000:
        return whole(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _moment(started: Any, after: float) -> str | None:
    try:
        moment = datetime.fromisoformat(started) + timedelta(seconds=after)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%d %H:%M %Z").strip()
