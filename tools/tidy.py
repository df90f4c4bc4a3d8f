#!/usr/bin/env python3
"""Checks what neither the compiler nor clang-format does: sizes, names and forbidden words.

Prints `path:line: message` for each finding in the files that git tracks or would track, and exits
with 1 if there is any. The allow-lists below may only shrink.
"""

import os
import re
import subprocess
import sys
from typing import Iterator, NamedTuple

LINE_LENGTH_MAX = 100
HEADER_LINES_MAX = 250
SOURCE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

CHECKED = re.compile(
    # What others wrote, or what a test reads, keeps its shape.
    r"(?!.*(^|/)testdata/)"
    r".*(\.(cc|h|proto|py|sh|bzl|js)|BUILD\.bazel|\.bazelrc|WORKSPACE|\.ci/run)$")
# The shims answer Bazel's own repositories, which see nothing that is not public.
SHIMS = r"bazel/(rules_cc|remote_coverage_tools)/"

CPP = r".*\.(cc|h)$"
REPLICA = r"node/(peer_answer|push_queue|record_check|repair_session|replica)"
CORE = r"((base|storage|merkle|gossip)/|" + REPLICA + r").*\.(cc|h)$"
CORE_BUT_TESTS = r"(?!.*_(test|benchmark|fuzz)\.cc$)" + CORE
TESTS = r"(tests/.*|.*_test)\.(cc|h)$"


class Ban(NamedTuple):
  """A pattern that may not occur in the code (comments and strings aside) of some files."""
  pattern: str
  message: str
  where: str = CPP
  allowed: frozenset = frozenset()


BANS = [
    Ban(r"\bstd::string_view\b", "absl::string_view, which is another type here"),
    Ban(r"\bstd::random_device\b|(?<![\w.>])s?rand(om)?\(", "take a base::Random*"),
    Ban(r"\babsl::Now\(|\bstd::chrono::\w+_clock\b", "take the time as an argument", where=CORE),
    Ban(r"\b(SleepFor|sleep_for|sleep_until|u?sleep|nanosleep)\(", "wait for the event itself",
        where=TESTS),
    Ban(r"\bDISABLED_|\bGTEST_SKIP\b", "mend the test or delete it"),
]


class Include(NamedTuple):
  """A header that only some files may include."""
  pattern: str
  message: str
  only_in: str


INCLUDES = [
    Include(r"grpc|google/protobuf/|proto/|slipstream/v\d",
            "gRPC and Protobuf stay out of the core",
            only_in=r"(?!" + CORE + ")"),
    Include(r"thread$|pthread\.h$", "the core starts no thread",
            only_in=r"(?!" + CORE_BUT_TESTS + ")"),
    Include(r"random$|absl/random/", "take a base::Random*",
            only_in=r"(?!" + CORE + ")"),
    Include(r"openssl/|isa-l", "use base/digest.h or base/crc32c.h", only_in=r"(base|node)/"),
    Include(r"(zstd|lz4)", "storage compresses, behind its own interface", only_in=r"storage/"),
    Include(r"liburing", "storage reads, behind its own interface", only_in=r"storage/"),
    Include(r"(leveldb/|lmdb\.h|tkrzw_)", "only to be compared with",
            only_in=r"tests/bench/engine/"),
]

PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
COMMENT_OR_LITERAL = re.compile(
    r"//[^\n]*"
    r"|/\*.*?\*/"
    r'|R"([^()\\\s]*)\(.*?\)\1"'
    r'|"(?:\\.|[^"\\\n])*"'
    # Not the apostrophes of 1'000'000.
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)


def blank(match: re.Match) -> str:
  """Returns spaces for what matched, so that line numbers stay."""
  return re.sub(r"[^\n]", " ", match.group())


def functions(code: str) -> Iterator[tuple]:
  """Yields (first line, line count) of each function body, lambdas inside it included.

  A heuristic on braces: a body opens at file, namespace or class level after a parameter list.
  """
  code = PREPROCESSOR.sub(blank, code)
  open_braces = []  # Each "scope", "function" or "other".
  function_starts = []
  statement = 0  # Where the text before the next brace begins.
  for match in re.finditer(r"[{};]", code):
    before = re.sub(r"alignas\([^)]*\)", "", code[statement:match.start()]).strip()
    statement = match.end()
    at_scope = not open_braces or open_braces[-1] == "scope"
    if match.group() == "{":
      if re.search(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$", before):
        open_braces.append("scope")
      # Nothing before: the body behind a constructor's brace-initialised members.
      elif at_scope and not before.endswith("=") and (before == "" or ")" in before):
        open_braces.append("function")
        function_starts.append(match.start())
      else:
        open_braces.append("other")
    elif match.group() == "}" and open_braces and open_braces.pop() == "function":
      start = function_starts.pop()
      yield code.count("\n", 0, start) + 1, code.count("\n", start, match.end()) + 1


def check_cpp(path: str, text: str) -> Iterator[tuple]:
  """Yields (line, message) for what holds for C++ alone."""
  lines = text.splitlines()
  is_header = path.endswith(".h")
  limit = HEADER_LINES_MAX if is_header else SOURCE_LINES_MAX
  if len(lines) > limit:
    yield limit + 1, f"{len(lines)} lines, at most {limit}"

  if is_header:
    guard = "SLIPSTREAM_" + re.sub(r"\W", "_", path).upper() + "_"
    opening = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.MULTILINE)
    if not opening or set(opening.groups()) != {guard}:
      yield 1, f"the guard is {guard}"

  for number, line in enumerate(lines, 1):
    include = re.match(r'#include [<"]([^>"]+)[>"]', line)
    for rule in INCLUDES if include else []:
      if re.match(rule.pattern, include.group(1)) and not re.match(rule.only_in, path):
        yield number, f"<{include.group(1)}>: {rule.message}"

  code = COMMENT_OR_LITERAL.sub(blank, text)
  for ban in BANS:
    if re.match(ban.where, path) and path not in ban.allowed:
      for match in re.finditer(ban.pattern, code):
        yield code.count("\n", 0, match.start()) + 1, f"{match.group()}: {ban.message}"

  for line, length in functions(code):
    if length > FUNCTION_LINES_MAX:
      yield line, f"a function of {length} lines, at most {FUNCTION_LINES_MAX}"


def check_build(text: str) -> Iterator[tuple]:
  """Yields (line, message) for what holds for BUILD files alone."""
  if 'package(default_visibility = ["//visibility:private"])' not in text:
    yield 1, 'open with package(default_visibility = ["//visibility:private"])'
  for number, line in enumerate(text.splitlines(), 1):
    if "//visibility:" + "public" in line:
      yield number, "nothing is public: name a group of the root BUILD.bazel"


def check(path: str, text: str) -> Iterator[tuple]:
  """Yields (line, message) for each finding; `path` is relative to the workspace."""
  for number, line in enumerate(text.splitlines(), 1):
    if len(line) > LINE_LENGTH_MAX:
      yield number, f"{len(line)} characters, at most {LINE_LENGTH_MAX}"
    if re.search(r"\bFIX" + r"ME\b", line):
      yield number, "mend it, or file it as a TODO(issue-N)"
    if re.search(r"\bTO" + r"DO\b(?!\(issue-(\d+|N)\))", line):
      yield number, "write TODO(issue-N), with the event that ends it"
  if re.match(CPP, path):
    yield from check_cpp(path, text)
  if path.endswith("BUILD.bazel") and not re.match(SHIMS, path):
    yield from check_build(text)


def main() -> int:
  # Bazel runs a link to this file; the tree to check is the one that the link leads to.
  root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
  listing = subprocess.run(
      # The tree may belong to another user, as in a container; git is only asked to read it.
      ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
       "--exclude-standard"],
      cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
  paths = [path for path in listing.split("\0") if CHECKED.match(path)]
  if not paths:
    print(f"{root}: git lists no files to check", file=sys.stderr)
    return 1
  findings = 0
  for path in sorted(paths):
    try:
      with open(os.path.join(root, path), encoding="utf-8") as file:
        text = file.read()
    except FileNotFoundError:  # Deleted, and not yet in git.
      continue
    for line, message in sorted(check(path, text)):
      print(f"{path}:{line}: {message}")
      findings += 1
  print(f"{len(paths)} files, {findings} findings")
  return 1 if findings else 0


if __name__ == "__main__":
  sys.exit(main())
