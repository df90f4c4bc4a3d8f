#include "cli/json.h"

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace slipstream::cli {
namespace {

TEST(JsonTest, KeepsTheOrderAndWritesTextAsText) {
  Json json;
  json["found"] = true;
  AddKey("clé", json);
  AddValue("a \"b\"\n", json);
  json["version"] = "v";
  EXPECT_EQ(Line(json),
            R"({"found":true,"key":"clé","value":"a \"b\"\n","encoding":"utf8","version":"v"})"
            "\n");
}

TEST(JsonTest, WritesOtherBytesInBase64AndSaysSo) {
  Json json;
  AddKey("\xff", json);
  AddValue("\xfe\xff", json);
  EXPECT_EQ(Line(json),
            R"({"key":"/w==","key_encoding":"base64","value":"/v8=","encoding":"base64"})"
            "\n");
}

TEST(JsonTest, TakesEmptyValuesAndZeroBytesAsText) {
  Json json;
  AddKey(absl::string_view("\0", 1), json);
  AddValue("", json);
  EXPECT_EQ(Line(json), "{\"key\":\"\\u0000\",\"value\":\"\",\"encoding\":\"utf8\"}\n");
}

TEST(JsonTest, NeverFailsOnWhatOthersWrote) {
  Json json;
  json["name"] = "n\xff";
  EXPECT_EQ(Line(json), "{\"name\":\"n\xef\xbf\xbd\"}\n");
}

}  // namespace
}  // namespace slipstream::cli
