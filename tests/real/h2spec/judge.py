"""Reads h2spec's report, and says whether something is wrong.

judge.py count REPORT             how many tests there were, and how many of them found fault
judge.py judge REPORT ACCEPTED    status 1 where others found fault than ACCEPTED lists, or those listed no longer do
"""

import re
import sys

# The report is no XML where an answer that it quotes has a `<`.
CASE = re.compile(r'<testcase package="([^"]*)" classname="([^"]*)"[^>]*>(.*?)</testcase>', re.DOTALL)


def read(path):
    """`SECTION: TITLE` → what was found, or nothing."""
    with open(path, encoding="utf-8", errors="replace") as report:
        return {f"{section}: {title}": found.strip() for section, title, found in CASE.findall(report.read())}


def count(path):
    cases = read(path)
    print(f"{len(cases)} tests, {sum(map(bool, cases.values()))} found fault")


def judge(path, accepted):
    cases = read(path)
    with open(accepted, encoding="utf-8") as lines:
        listed = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    wrong = [f"{case}\n{found}" for case, found in cases.items() if found and case not in listed]
    wrong += [f"{case} is accepted, and found nothing: take it out of the list" for case in listed if not cases.get(case)]
    print("\n".join(wrong) if cases else "no test ran")
    sys.exit(1 if wrong or not cases else 0)


{"count": count, "judge": judge}[sys.argv[1]](*sys.argv[2:])
