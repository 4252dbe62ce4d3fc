// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include "blt/stats/svg.h"

using namespace blt::stats;

namespace {

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++n;
  return n;
}

// Each tag closed in order, attributes quoted, no bare < or &: enough of XML to catch a broken
// picture.
void check_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = 0; at < xml.size();) {
    if (xml[at] == '&') {
      const auto end = xml.find(';', at);
      REQUIRE(end != std::string::npos);
      REQUIRE(end - at <= 6);
      at = end + 1;
      continue;
    }
    if (xml[at] != '<') {
      ++at;
      continue;
    }
    const auto end = xml.find('>', at);
    REQUIRE(end != std::string::npos);
    const std::string tag = xml.substr(at + 1, end - at - 1);
    REQUIRE(tag.find('<') == std::string::npos);
    CHECK(count(tag, "\"") % 2 == 0);
    const std::string name = tag.substr(0, tag.find(' '));
    if (tag.front() == '/') {
      REQUIRE_FALSE(open.empty());
      CHECK("/" + open.back() == name);
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    at = end + 1;
  }
  CHECK(open.empty());
}

}  // namespace

TEST_CASE("a histogram has a curve, a legend entry and a mean for each series", "[svg]") {
  const std::vector<HistogramSeries> series = {{"space", {{1, 10}, {4, 60}, {7, 30}}},
                                               {"a<b>&\"c\"", {{3, 50}, {200, 50}}}};
  const std::string svg = histogram_svg(series, {"Lengths", "bytes", "share"});
  check_well_formed(svg);
  CHECK(svg.find("<svg xmlns=\"http://www.w3.org/2000/svg\"") == 0);
  CHECK(count(svg, "class=\"curve\"") == 2);
  CHECK(count(svg, "class=\"mean\"") == 1);  // the second mean, 101.5, lies outside
  CHECK(svg.find("space, mean 4.60</text>") != std::string::npos);
  CHECK(svg.find("a&lt;b&gt;&amp;&quot;c&quot;, mean 101.50</text>") != std::string::npos);
  CHECK(svg.find(">48+</text>") != std::string::npos);
  CHECK(svg.find(">Lengths</text>") != std::string::npos);
}

TEST_CASE("curves stand where their shares say", "[svg]") {
  // One series of shares 25 % and 75 %: places 1 and 2 of 8, the axis up to 100 %.
  const std::string svg = histogram_svg({{"x", {{1, 1}, {2, 3}}}}, {"t", "x", "y"});
  CHECK(svg.find(">8+</text>") != std::string::npos);
  const auto points = svg.substr(svg.find(" d=\"M") + 5);
  double x1, y1, x2, y2;
  REQUIRE(std::sscanf(points.c_str(), "%lf,%lf L%lf,%lf", &x1, &y1, &x2, &y2) == 4);
  CHECK(x1 == Approx(70 + 590.0 / 16).margin(0.01));
  const double base = 50 + 370;
  CHECK((base - y2) / (base - y1) == Approx(3).margin(0.01));
  CHECK(x2 - x1 == Approx(590.0 / 8).margin(0.02));
}

TEST_CASE("a series of one length leaves the picture and comes back", "[svg]") {
  const std::string svg = histogram_svg(
      {{"spread", {{1, 20}, {2, 30}, {3, 30}, {4, 20}}}, {"constant", {{4, 1}}}}, {"t", "x", "y"});
  const auto second = svg.find("class=\"curve\"", svg.find("class=\"curve\"") + 1);
  const std::string path = svg.substr(second, svg.find("/>", second) - second);
  CHECK(count(path, "M") == 2);
  // Two crossings of the top edge, nothing above it.
  CHECK(count(path, ",50 ") + count(path, ",50\"") == 2);
  CHECK(path.find(",-") == std::string::npos);
}

TEST_CASE("empty histograms draw empty axes", "[svg]") {
  check_well_formed(histogram_svg({}, {"t", "x", "y"}));
  const std::string svg = histogram_svg({{"none", {}}}, {"t", "x", "y"});
  check_well_formed(svg);
  CHECK(svg.find("nan") == std::string::npos);
}

TEST_CASE("names of any bytes are legal XML", "[svg]") {
  CHECK(xml_escape("a\x01\xFF'") == "a\xEF\xBF\xBD\xEF\xBF\xBD&apos;");
  check_well_formed(histogram_svg({{std::string("\0<", 2), {{1, 1}}}}, {"t", "x", "y"}));
}
