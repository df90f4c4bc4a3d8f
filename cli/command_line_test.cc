#include "cli/command_line.h"

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/error_reason.h"
#include "cli/exit_code.h"
#include "cli/session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A program with the commands "echo TEXT [--prefix P] [--loud]" and "fail".
class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    unsetenv("SLIPCTL_ENDPOINT");
    CLI::App& echo = line_.Add(
        {.name = "echo",
         .help = {.group = "Words", .summary = "Repeat a text", .examples = {"slipctl echo a"}},
         .timeout = absl::Seconds(30),
         .has_raw_output = true},
        [this](Session& session) -> absl::StatusOr<ExitCode> {
          endpoints_ = session.endpoints;
          timeout_ = session.timeout;
          format_ = session.format;
          session.out << text_;
          return ExitCode::kOk;
        });
    echo.add_option("TEXT", text_, "What to say")->required();
    echo.add_option("--prefix", prefix_, "What to say first")->type_name("P");
    echo.add_flag("--loud", loud_, "Say it loud");
    line_.Add({.name = "fail",
               .help = {.group = "Words", .summary = "Fail", .examples = {"slipctl fail"}}},
              [this](Session&) -> absl::StatusOr<ExitCode> { return failure_; });
  }

  ExitCode Run(const std::vector<std::string>& arguments) {
    return line_.Run(arguments, {.in = in_, .out = out_, .error = error_});
  }

  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream error_;
  CommandLine line_;
  std::string text_;
  std::string prefix_ = "none";
  bool loud_ = false;
  absl::Status failure_;
  std::vector<std::string> endpoints_;
  absl::Duration timeout_;
  OutputFormat format_ = OutputFormat::kTable;
};

TEST_F(CommandLineTest, RunsACommandWithDefaults) {
  EXPECT_EQ(Run({"echo", "hello"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "hello");
  EXPECT_EQ(error_.str(), "");
  EXPECT_THAT(endpoints_, ElementsAre("127.0.0.1:7400"));
  EXPECT_EQ(timeout_, absl::Seconds(30));
  EXPECT_EQ(format_, OutputFormat::kTable);
}

TEST_F(CommandLineTest, TakesSharedFlagsBeforeTheCommand) {
  EXPECT_EQ(Run({"--endpoint", "a:1,b:2", "-o", "json", "--timeout=1m", "echo", "x"}),
            ExitCode::kOk);
  EXPECT_THAT(endpoints_, ElementsAre("a:1", "b:2"));
  EXPECT_EQ(timeout_, absl::Minutes(1));
  EXPECT_EQ(format_, OutputFormat::kJson);
}

TEST_F(CommandLineTest, TakesSharedFlagsAfterTheCommand) {
  EXPECT_EQ(Run({"echo", "x", "--output=raw", "--endpoint=a:1", "--timeout", "500ms"}),
            ExitCode::kOk);
  EXPECT_THAT(endpoints_, ElementsAre("a:1"));
  EXPECT_EQ(timeout_, absl::Milliseconds(500));
  EXPECT_EQ(format_, OutputFormat::kRaw);
}

TEST_F(CommandLineTest, TakesTheLastOfARepeatedFlag) {
  EXPECT_EQ(Run({"echo", "x", "-o", "json", "-o", "raw"}), ExitCode::kOk);
  EXPECT_EQ(format_, OutputFormat::kRaw);
}

TEST_F(CommandLineTest, TakesTheEndpointFromTheEnvironmentUnlessTheFlagIsGiven) {
  setenv("SLIPCTL_ENDPOINT", "a:1", 1);
  EXPECT_EQ(Run({"echo", "x"}), ExitCode::kOk);
  EXPECT_THAT(endpoints_, ElementsAre("a:1"));
  EXPECT_EQ(Run({"echo", "x", "--endpoint", "b:2"}), ExitCode::kOk);
  EXPECT_THAT(endpoints_, ElementsAre("b:2"));
}

TEST_F(CommandLineTest, TakesAnyBytesAsAnArgument) {
  for (const char* text : {"", " ", "-1", "a=b", "[a,b]", "{}", "%%", "'a'", "\"a\"", "echo",
                           "fail", "help", "\xff\xfe", "a\nb", "é"}) {
    out_.str("");
    EXPECT_EQ(Run({"echo", text}), ExitCode::kOk) << text << error_.str();
    EXPECT_EQ(out_.str(), text);
  }
  for (const char* text : {"-x", "--loud", "--help", "--", "++", "--prefix="}) {
    out_.str("");
    EXPECT_EQ(Run({"echo", "--", text}), ExitCode::kOk) << text << error_.str();
    EXPECT_EQ(out_.str(), text);
  }
}

TEST_F(CommandLineTest, TakesAnEmptyValueOfAFlag) {
  EXPECT_EQ(Run({"echo", "--prefix=", "x"}), ExitCode::kOk);
  EXPECT_EQ(prefix_, "");
  EXPECT_EQ(out_.str(), "x");
}

TEST_F(CommandLineTest, SuggestsACommand) {
  EXPECT_EQ(Run({"ehco", "x"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(),
            "slipctl: unknown command \"ehco\"; did you mean \"echo\"?\nsee: slipctl --help\n");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CommandLineTest, NamesACommandThatResemblesNone) {
  EXPECT_EQ(Run({"compact"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(), "slipctl: unknown command \"compact\"\nsee: slipctl --help\n");
}

TEST_F(CommandLineTest, SuggestsAFlagOfTheCommandOrAShared) {
  EXPECT_EQ(Run({"echo", "--lound", "x"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(),
            "slipctl echo: unknown flag \"--lound\"; did you mean \"--loud\"?\n"
            "see: slipctl echo --help\n");
  error_.str("");
  EXPECT_EQ(Run({"echo", "x", "--enpoint=a:1"}), ExitCode::kUsage);
  EXPECT_THAT(error_.str(), HasSubstr("unknown flag \"--enpoint\"; did you mean \"--endpoint\"?"));
  error_.str("");
  EXPECT_EQ(Run({"--tiemout", "1s", "echo", "x"}), ExitCode::kUsage);
  EXPECT_THAT(error_.str(), HasSubstr("unknown flag \"--tiemout\"; did you mean \"--timeout\"?"));
}

TEST_F(CommandLineTest, SaysHowToPassAnArgumentThatLooksLikeAFlag) {
  EXPECT_EQ(Run({"echo", "-x"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(),
            "slipctl echo: unknown flag \"-x\"; if it is an argument, write -- before it\n"
            "see: slipctl echo --help\n");
}

TEST_F(CommandLineTest, NamesWhatIsMissingOrTooMuch) {
  EXPECT_EQ(Run({"echo"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(), "slipctl echo: TEXT is required\nsee: slipctl echo --help\n");
  error_.str("");
  EXPECT_EQ(Run({"echo", "a", "b"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(), "slipctl echo: unexpected argument \"b\"\nsee: slipctl echo --help\n");
  error_.str("");
  EXPECT_EQ(Run({"echo", "a", "--timeout"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(), "slipctl echo: --timeout needs a value\nsee: slipctl echo --help\n");
}

TEST_F(CommandLineTest, RefusesValuesOfSharedFlags) {
  EXPECT_EQ(Run({"echo", "x", "--timeout", "-1s"}), ExitCode::kUsage);
  EXPECT_THAT(error_.str(), StartsWith("slipctl echo: --timeout: \"-1s\" is out of range"));
  error_.str("");
  EXPECT_EQ(Run({"echo", "x", "-o", "yaml"}), ExitCode::kUsage);
  EXPECT_THAT(error_.str(), HasSubstr("\"yaml\" is not a format; write table, json or raw"));
  error_.str("");
  EXPECT_EQ(Run({"echo", "x", "--endpoint", "a"}), ExitCode::kUsage);
  EXPECT_THAT(error_.str(), HasSubstr("\"a\" has no port"));
  error_.str("");
  EXPECT_EQ(Run({"fail", "-o", "raw"}), ExitCode::kUsage);
  EXPECT_THAT(error_.str(), HasSubstr("slipctl fail: has no raw output; use"));
}

TEST_F(CommandLineTest, TellsAnErrorOnceWithItsReason) {
  failure_ = base::WithReason(absl::DataLossError("the record is damaged"), "RECORD_DAMAGED");
  EXPECT_EQ(Run({"fail"}), ExitCode::kCorrupt);
  EXPECT_EQ(error_.str(), "slipctl: the record is damaged (RECORD_DAMAGED)\n");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CommandLineTest, TellsAUsageErrorOfTheCommand) {
  failure_ = UsageError("give one or the other");
  EXPECT_EQ(Run({"fail"}), ExitCode::kUsage);
  EXPECT_EQ(error_.str(), "slipctl fail: give one or the other\nsee: slipctl fail --help\n");
}

TEST_F(CommandLineTest, NoticesThatTheOutputCannotBeWritten) {
  out_.setstate(std::ios::badbit);
  EXPECT_EQ(Run({"echo", "x"}), ExitCode::kError);
  EXPECT_EQ(error_.str(), "slipctl: cannot write to standard output\n");
}

TEST_F(CommandLineTest, HelpsOnStandardOutput) {
  EXPECT_EQ(Run({"--help"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\nWords:\n  echo                      Repeat a text\n"));
  EXPECT_THAT(out_.str(), HasSubstr("124 timeout"));
  EXPECT_EQ(error_.str(), "");
}

TEST_F(CommandLineTest, HelpsWithACommand) {
  EXPECT_EQ(Run({"echo", "--help"}), ExitCode::kOk);
  const std::string help = out_.str();
  EXPECT_THAT(help, StartsWith("Repeat a text\n\nUsage: slipctl echo TEXT [FLAGS]\n"));
  EXPECT_THAT(help, HasSubstr("\n  --prefix P                What to say first\n"));
  EXPECT_THAT(help, HasSubstr("\n  --loud                    Say it loud\n"));
  EXPECT_THAT(help, HasSubstr("\nExamples:\n  slipctl echo a\n"));
  out_.str("");
  EXPECT_EQ(Run({"help", "echo"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), help);
}

TEST_F(CommandLineTest, ShowsTheHelpAsAnErrorWhenThereIsNoCommand) {
  EXPECT_EQ(Run({}), ExitCode::kUsage);
  EXPECT_EQ(out_.str(), "");
  EXPECT_THAT(error_.str(), HasSubstr("Usage: slipctl COMMAND"));
}

TEST_F(CommandLineTest, ShowsTheVersion) {
  EXPECT_EQ(Run({"--version"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), StartsWith("slipctl "));
}

}  // namespace
}  // namespace slipstream::cli
