"""Write MODEL_CARD.md of a finished training, from its own files and its report's tables.

With --publish the report itself is written as Markdown, tables and figures, without faces.
"""

import argparse
import sys
from pathlib import Path

from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.reports.faceless import publish
from agegender.reports.model_card import model_card


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of the training")
    parser.add_argument("--evaluation", type=Path, help="an evaluation of it, told instead")
    parser.add_argument("--output", type=Path, default=Path("MODEL_CARD.md"))
    parser.add_argument("--publish", type=Path, metavar="FOLDER", help="put the report there")
    words = parser.parse_args()
    try:
        with whole_file(words.output) as temporary:
            temporary.write_text(model_card(words.run, words.evaluation), encoding="utf-8")
        if words.publish:
            publish(words.evaluation or words.run, words.publish)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"written to {words.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
