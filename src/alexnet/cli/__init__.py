"""The `alexnet` command: what it understands; `commands.py` does it.

Nothing heavy is imported before a command runs, so that `alexnet --help` answers at once.
"""

import argparse
import difflib
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from alexnet import __version__
from alexnet.config import CHOICES, RECIPES
from alexnet.errors import AlexNetError, printable
from alexnet.models.variants import VARIANTS

EXPORTS = ("onnx", "keras", "torch-export", "browser", "huggingface")
NUMBERS = ("auto", "float32", "bf16", "int8")
PARALLEL = ("data", "towers", "hybrid")
TIMEOUT_S = 300.0
VARIANT_NAMES = ", ".join([*VARIANTS, *(name for name in RECIPES if name.startswith("cifar-"))])

SOURCE_HELP = (
    "a folder (or .tar) with one folder of pictures a class, or with train/ and val/ or test/ folders of those; "
    "the folder of the ILSVRC-2012 archives; a CIFAR python archive; or solar-cells, which the extra of that name "
    "installs"
)
DATA_HELP = f"{SOURCE_HELP}; or a packed store, or its http(s)://, s3:// or gs:// address"

EXAMPLES = r"""
examples:
  alexnet train demo --data solar-cells --out runs/demo
  alexnet train modern --data ~/pictures --out runs/mine
  alexnet evaluate runs/mine --data ~/pictures --views 10
  alexnet predict runs/mine holiday.jpg
  alexnet summary --variant alexnet-two-tower
  alexnet convert bvlc_alexnet.caffemodel runs/caffe --mean ilsvrc_2012_mean.npy

  torchrun --nproc-per-node 2 -m alexnet train paper --variant alexnet-two-tower \
      --data ~/pictures --out runs/two --parallel towers
"""


class Parser(argparse.ArgumentParser):
    """Answers a wrong word in one line, with the nearest right one."""

    def error(self, message: str) -> NoReturn:
        """Prints the message, of several processes only the first, and exits with 2."""
        is_first = os.environ.get("RANK", "0") == "0"
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n" if is_first else None)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            close = difflib.get_close_matches(str(value), choices, 1)
            hint = f"perhaps {close[0]!r}" if close else f"there are {', '.join(choices)}"
            raise argparse.ArgumentError(action, f"no {value!r} here; {hint}")


def parser() -> argparse.ArgumentParser:
    """Describes every command."""
    root = Parser(
        prog="alexnet",
        description="AlexNet as published: trained, tested, explained, and fast.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"alexnet {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, about: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
        made.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        return made

    demo = command("demo", "train on photographs of solar cells; compare with what was published")
    demo.add_argument("--out", default="runs/demo", metavar="RUN", help="run folder to make or continue (runs/demo)")
    _summary(command("summary", "print a network's layers: shapes, parameters, multiply-adds"))
    _pack(command("pack", "decode, resize and pack a source of pictures, once; run it again to resume"))
    _train(command("train", "train a network on a source of pictures, or resume a run"))
    _evaluate(command("evaluate", "measure top-1 and top-5 error of one run, or of several averaged"))
    _predict(command("predict", "name what is on pictures"))
    _compress(command("compress", "make a network's file 30 times smaller: prune, share weights, Huffman codes"))
    report = command("report", "write a run's report: one HTML page that needs nothing else")
    report.add_argument("run", metavar="RUN", help="run folder")
    _convert(command("convert", "turn weights of Caffe, torchvision or cuda-convnet into a run folder"))
    _export(
        command("export", "write a network for ONNX, Keras, torch.export, a browser or Hugging Face; compare it there")
    )
    _weights(command("weights", "list the public weights, or fetch some"))
    _claim(command("claim", "put a claim of the lecture to the test, on your own data"))
    _bench(command("bench", "measure speed beside other implementations and this machine's limits"))
    _doctor(command("doctor", "say what this machine has, and what would bound training on this data"))
    return root


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command.

    Exit codes: 0 done; 2 a mistake a person can mend, said in one line; 130 interrupted.
    """
    logging.basicConfig(format="alexnet: %(message)s", level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the terminal cannot show becomes a question mark
    asked = parser().parse_args(arguments)
    try:
        from alexnet.cli import commands

        getattr(commands, asked.command)(asked)
    except AlexNetError as error:
        sys.exit(_fail(str(error), 2))
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted", 130))
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        sys.exit(_fail(_in_one_line(error), 2))


def _in_one_line(error: OSError) -> str:
    """Says what the system refused; a path that somebody pasted may be as long as it likes."""
    name = f"{str(error.filename)[:200]}: " if error.filename is not None else ""
    return printable(f"{name}{error.strerror or error}")


def _fail(message: str, code: int) -> int:
    if message:
        print(f"alexnet: {message}", file=sys.stderr)
    return code


def _summary(command: argparse.ArgumentParser) -> None:
    command.add_argument("--variant", default="alexnet", metavar="V", help=f"which network (alexnet): {VARIANT_NAMES}")
    command.add_argument("--input-size", type=int, metavar="S", help="side of the input, pixels (the variant's own)")
    command.add_argument("--classes", type=int, metavar="C", help="outputs (1000, of CIFAR's networks 10)")


def _pack(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    command.add_argument("store", metavar="STORE", help="folder to make")
    command.add_argument("--size", type=int, default=256, metavar="S", help="side of the stored pictures, pixels (256)")
    command.add_argument("--seed", type=int, default=0, help="of the held-out quarter, if the source has no split (0)")
    _on_bad_image(command)


def _train(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", nargs="?", choices=list(RECIPES), metavar="RECIPE", help=", ".join(RECIPES))
    command.add_argument("--data", metavar="SOURCE", help=DATA_HELP)
    command.add_argument("--out", metavar="RUN", help="run folder to make")
    command.add_argument(
        "--resume",
        metavar="RUN",
        help="continue this run from its last save; --data says where its pictures have moved to",
    )
    command.add_argument("--variant", metavar="V", help=f"which network (alexnet): {VARIANT_NAMES}")
    length = command.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, metavar="E", help="passes over the training pictures")
    length.add_argument("--steps", type=int, metavar="N", help="updates")
    command.add_argument("--seed", type=int, metavar="S", help="of weights, order, crops, colour and dropout (0)")
    command.add_argument("--input-size", type=int, metavar="S", help="side of the crops the network sees, pixels")
    command.add_argument("--precision", choices=CHOICES["precision"], help="auto takes bf16 where it is fast")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change any other setting of the recipe, such as learning_rate, batch_size, colour or smallest_crop",
    )
    command.add_argument(
        "--parallel",
        choices=PARALLEL,
        metavar="MODE",
        help="under torchrun: data shares the pictures of a batch (default); towers gives each of two processes one "
        "tower; hybrid shares pictures among the convolutions and cuts fc6, fc7 and fc8",
    )
    _timeout(command)
    _on_bad_image(command)


def _evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument("runs", nargs="+", metavar="RUN", help="run folder or weight file; several are averaged")
    command.add_argument(
        "--data",
        metavar="SOURCE",
        help="what to test on (what the run was trained with, and the result goes into the report of a single run)",
    )
    command.add_argument("--split", default=None, help="val, test, train+val, ... (val, else test)")
    command.add_argument("--views", type=int, default=1, choices=(1, 10), help="1 the centre, 10 the paper's ten (1)")
    command.add_argument(
        "--precision",
        default=["auto"],
        type=_numbers,
        metavar="P,...",
        help=f"{', '.join(NUMBERS)}; several, joined by commas, print what each costs (auto)",
    )
    _timeout(command)
    _on_bad_image(command)


def _numbers(text: str) -> list[str]:
    chosen = text.split(",")
    unknown = [word for word in chosen if word not in NUMBERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no {unknown[0]!r} here; there are {', '.join(NUMBERS)}")
    return chosen


def _predict(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", metavar="RUN", help="run folder or weight file")
    command.add_argument("images", nargs="+", metavar="IMAGE|FOLDER", help="pictures, or folders of them")
    command.add_argument("--precision", default="auto", choices=NUMBERS, help="numbers to compute in (auto)")
    command.add_argument("--top", type=int, default=5, metavar="K", help="classes to name (5)")
    command.add_argument("--views", type=int, default=1, choices=(1, 10), help="1 the centre, 10 the paper's ten (1)")
    _timeout(command)


def _compress(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Deep Compression (Han, Mao, Dally 2016): leaves the smallest weights out, trains what is left, lets weights "
        "share few values, trains those, and writes the rest in Huffman codes. Prints size and errors after every "
        "step. Takes about as long as 16 epochs of training; run it again to go on after Ctrl-C. The result is a run "
        "that predict and evaluate read."
    )
    command.add_argument("run", metavar="RUN", help="run folder or weight file")
    command.add_argument(
        "--out",
        metavar="OUT",
        help="folder to make, or file if it ends in .compressed (a folder beside RUN, named RUN-compressed)",
    )
    command.add_argument(
        "--keep",
        type=float,
        default=0.08,
        metavar="SHARE",
        help="of the weights of fc6 and fc7; smaller is less (0.08)",
    )
    command.add_argument(
        "--epochs", type=float, default=12, metavar="E", help="of training after pruning; a third of it again (12)"
    )
    command.add_argument("--data", metavar="SOURCE", help="what to train and test on (what the run was trained with)")
    command.add_argument(
        "--split", help="what to measure errors on: val, test, or several joined by + (val, else test)"
    )
    _on_bad_image(command)


def _convert(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "source",
        metavar="SOURCE",
        help=".caffemodel; .pth or .safetensors of torchvision's alexnet; checkpoint of cuda-convnet, or their folder",
    )
    command.add_argument("dest", metavar="RUN", help="run folder to make")
    command.add_argument(
        "--mean", metavar="FILE", help="mean image: .binaryproto, .npy or batches.meta (ImageNet's mean colour)"
    )
    command.add_argument(
        "--classes",
        metavar="FILE",
        help="a class a line in the order of the outputs, or imagenet-devkit or imagenet-wordnet (by the program)",
    )
    command.add_argument("--variant", metavar="V", help="which network, where the file does not tell")


def _export(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Writes a network for another runtime, runs it there on real JPEG files, and prints how far its numbers are "
        "from ours; a file that is further off than 1e-4 of the output is not written. Input: RGB float (N, 3, S, S), "
        "for Keras (N, S, S, 3), or with --preprocess the pictures themselves; output: probabilities. "
        "Needs: pip install 'alexnet[export]'. huggingface is a folder with our weights, its config and a model card."
    )
    command.add_argument("run", metavar="RUN", help="run folder or weight file")
    command.add_argument("--format", required=True, choices=EXPORTS, metavar="F", help=", ".join(EXPORTS))
    command.add_argument(
        "--out", metavar="OUT", help="file, or for browser and huggingface folder, to make (beside RUN)"
    )
    command.add_argument(
        "--preprocess",
        action="store_true",
        help="take uint8 pictures (N, H, W, 3) of any size (torch-export: of the stored size); a browser always does",
    )
    command.add_argument(
        "--lrn",
        choices=("native", "decomposed"),
        help="normalisation as ONNX's operator, or of plain operations for runtimes that lack it (native)",
    )
    command.add_argument(
        "--int8",
        action="store_true",
        help="onnx, browser: 8-bit integers, calibrated on training pictures; prints errors before and after",
    )
    command.add_argument(
        "--data", metavar="SOURCE", help="pictures to compare and calibrate on (the run's examples, and its data)"
    )
    command.add_argument("--split", help="with --int8, what to measure errors on (val, else test)")
    command.add_argument(
        "--runtime", metavar="DIR", help="browser: folder with the files of onnxruntime-web (npm fetches them)"
    )
    _on_bad_image(command)


def _weights(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("list", "get"), metavar="list|get", help="list them, or fetch NAME")
    command.add_argument("name", nargs="?", metavar="NAME", help="which to fetch")
    command.add_argument("--file", metavar="F", help="take this file, fetched by other means, and check it")
    command.add_argument("--out", metavar="DIR", help="folder to keep it in ($ALEXNET_CACHE/weights)")


def _claim(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Trains a network with and without what the lecture praises, with paired seeds, and says whether the "
        "difference is there: 'confirmed here', 'not seen here' or 'opposite here', with a 95 % interval. Says before "
        "it starts what it will cost and how weak the evidence will be. After Ctrl-C the same command goes on; what is "
        "trained is not trained again, and claims share the networks they have in common. Writes DIR/NAME/claim.html "
        "and claim.json."
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="which claim; see --list")
    command.add_argument("--list", action="store_true", help="list the claims: where they are made, what was measured")
    command.add_argument("--data", default="solar-cells", metavar="SOURCE", help=f"{DATA_HELP} (the default)")
    command.add_argument(
        "--budget",
        default="quick",
        choices=("quick", "standard", "full"),
        help="minutes; half an hour to two hours; or days (quick)",
    )
    command.add_argument(
        "--seeds", type=int, metavar="K", help="networks an arm (quick 1, else 3; relu 1, 1, 3; ensemble 2, 3, 5)"
    )
    command.add_argument("--out", default="runs/claims", metavar="DIR", help="folder of all experiments (runs/claims)")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of every arm"
    )


def _bench(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "what", nargs="?", default="all", choices=("lrn", "train", "data", "predict", "parallel", "all")
    )
    command.add_argument("--per-layer", action="store_true", help="time each layer against its floors")
    command.add_argument("--data", metavar="SOURCE", help="pictures for `data` (made up where none are given)")


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", metavar="SOURCE", help="pictures to measure with")
    command.add_argument("--variant", default="alexnet", metavar="V", help="network to measure with (alexnet)")


def _timeout(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT_S,
        metavar="S",
        help="under torchrun: seconds after which a process that does not come or answer is given up (300)",
    )


def _on_bad_image(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--on-bad-image", choices=("skip", "stop"), default="skip", help="skip lists it in the quarantine (skip)"
    )
