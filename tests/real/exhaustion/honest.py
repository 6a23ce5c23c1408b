"""What an honest client felt, from a result of `bench --out`: `honest.py FILE p99 rest|grpc` in milliseconds, or
`honest.py FILE failures`."""

import json
import sys


def main():
    with open(sys.argv[1]) as file:
        series = json.load(file)["series"]
    if sys.argv[2] == "failures":
        errors = [target["errors"] for one in series for target in one["targets"]]
        print(sum(sum(counts.values()) if isinstance(counts, dict) else len(counts) for counts in errors))
        return
    of = [one for one in series if one["work"]["protocol"].startswith(sys.argv[3])]
    print(round(max(target["quantiles"]["p99"] for one in of for target in one["targets"]) / 1000, 2))


if __name__ == "__main__":
    main()
