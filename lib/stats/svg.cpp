// SPDX-License-Identifier: MIT
#include "blt/stats/svg.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "blt/base/error.h"
#include "blt/base/units.h"
#include "blt/text/utf8.h"

namespace blt::stats {
namespace {

// Okabe and Ito's colours, which colour-blind readers tell apart; a second round is dashed.
constexpr std::array<const char*, 7> colors = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                               "#E69F00", "#56B4E9", "#000000"};

constexpr double width = 900, height = 480;
constexpr double left = 70, right = 240, top = 50, bottom = 60;
constexpr double plot_width = width - left - right, plot_height = height - top - bottom;

struct Curve {
  std::string name;
  std::vector<double>
      share;  // per cent, by place; place p is length p + 1, the last gathers the rest
  double mean = 0;
  std::uint64_t p99 = 0;
};

std::string number(double value) {
  std::string text = format_fixed(value, 2);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::uint64_t percentile99(const HistogramSeries& series, std::uint64_t count) {
  std::uint64_t seen = 0;
  for (const auto& [length, n] : series.counts) {
    seen += n;
    if (100 * seen >= 99 * count) return length;
  }
  return 0;
}

std::vector<Curve> make_curves(const std::vector<HistogramSeries>& all) {
  std::vector<Curve> curves;
  std::vector<std::uint64_t> counts;
  std::uint64_t places = 8;
  for (const auto& series : all) {
    Curve curve;
    curve.name = series.name;
    std::uint64_t count = 0, total = 0;
    for (const auto& [length, n] : series.counts) {
      count += n;
      total += length * n;
    }
    curve.mean = count == 0 ? 0 : static_cast<double>(total) / static_cast<double>(count);
    curve.p99 = percentile99(series, count);
    places = std::max(places, std::min<std::uint64_t>(curve.p99 + 1, 48));
    counts.push_back(count);
    curves.push_back(std::move(curve));
  }
  for (std::size_t s = 0; s < all.size(); ++s) {
    curves[s].share.assign(places, 0);
    for (const auto& [length, n] : all[s].counts) {
      const std::uint64_t place = std::min(std::max<std::uint64_t>(length, 1), places) - 1;
      curves[s].share[place] += 100.0 * static_cast<double>(n) /
                                static_cast<double>(std::max<std::uint64_t>(counts[s], 1));
    }
  }
  return curves;
}

// The top of the axis. A curve of one length alone (every byte, every K bytes) stands at 100 % and
// would press the others flat: it may leave the picture when there are others.
double top_share(const std::vector<Curve>& curves) {
  double most = 0, most_spread = 0;
  for (const auto& curve : curves) {
    const double peak = *std::max_element(curve.share.begin(), curve.share.end());
    most = std::max(most, peak);
    if (peak < 90) most_spread = std::max(most_spread, peak);
  }
  const double wanted = most_spread > 0 ? most_spread : most;
  return std::min(100.0, std::max(wanted * 1.1, 1.0));
}

// 1, 2 or 5 times a power of ten, for about five steps.
double tick_step(double range) {
  const double rough = range / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

class Plot {
 public:
  Plot(std::vector<Curve> curves, const HistogramLabels& labels)
      : curves_(std::move(curves)),
        labels_(labels),
        places_(curves_.empty() ? 8 : curves_[0].share.size()) {
    y_step_ = curves_.empty() ? 20 : tick_step(top_share(curves_));
    y_top_ =
        curves_.empty() ? 100 : std::min(100.0, std::ceil(top_share(curves_) / y_step_) * y_step_);
  }

  std::string draw() {
    out_ = cat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", width, "\" height=\"", height,
               "\" viewBox=\"0 0 ", width, " ", height,
               "\" font-family=\"sans-serif\" font-size=\"13\">\n",
               "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
    text(left, 28, "start", labels_.title, " font-size=\"16\"");
    axes();
    for (std::size_t i = 0; i < curves_.size(); ++i) curve(i);
    return out_ += "</svg>\n";
  }

 private:
  double x_of(double length) const {
    return left + (length - 0.5) / static_cast<double>(places_) * plot_width;
  }
  double y_of(double share) const { return top + plot_height * (1 - share / y_top_); }

  void text(double x, double y, const char* anchor, const std::string& content,
            const std::string& more = "") {
    out_ += cat("<text x=\"", number(x), "\" y=\"", number(y), "\" text-anchor=\"", anchor, "\"",
                more, ">", xml_escape(content), "</text>\n");
  }

  void line(double x1, double y1, double x2, double y2, const std::string& style) {
    out_ += cat("<line x1=\"", number(x1), "\" y1=\"", number(y1), "\" x2=\"", number(x2),
                "\" y2=\"", number(y2), "\" ", style, "/>\n");
  }

  void axes() {
    const double base = top + plot_height;
    for (int i = 0; i * y_step_ <= y_top_ + 1e-9; ++i) {
      const double share = i * y_step_;
      line(left, y_of(share), left + plot_width, y_of(share), "stroke=\"#dddddd\"");
      text(left - 8, y_of(share) + 4, "end", number(share));
    }
    const std::size_t every = places_ <= 16 ? 1 : places_ <= 32 ? 2 : 4;
    for (std::size_t length = 1; length <= places_; ++length) {
      const bool last = length == places_;
      if (!last && (length % every != 0 || (every > 1 && places_ - length < every)) && length != 1)
        continue;
      const double x = x_of(static_cast<double>(length));
      line(x, base, x, base + 5, "stroke=\"black\"");
      text(x, base + 20, "middle", std::to_string(length) + (last ? "+" : ""));
    }
    line(left, base, left + plot_width, base, "stroke=\"black\"");
    line(left, top, left, base, "stroke=\"black\"");
    text(left + plot_width / 2, height - 16, "middle", labels_.x);
    const std::string turn =
        cat(" transform=\"rotate(-90 20 ", number(top + plot_height / 2), ")\"");
    text(20, top + plot_height / 2, "middle", labels_.y, turn);
  }

  // Lines from place to place, cut off at the top of the axis (clip paths are not drawn alike by
  // all viewers).
  std::string path(const std::vector<double>& share) const {
    std::string out;
    const auto add = [&](const char* command, double length, double value) {
      out += cat(out.empty() ? "" : " ", command, number(x_of(length)), ",", number(y_of(value)));
    };
    bool inside = share[0] <= y_top_;
    if (inside) add("M", 1, share[0]);
    for (std::size_t place = 1; place < share.size(); ++place) {
      const double before = share[place - 1], now = share[place];
      const auto length = static_cast<double>(place);  // of the place before
      const double crossing = length + (y_top_ - before) / (now - before);
      if (inside && now > y_top_) add("L", crossing, y_top_);
      if (!inside && now <= y_top_) add("M", crossing, y_top_);
      inside = now <= y_top_;
      if (inside) add("L", length + 1, now);
    }
    return out;
  }

  void curve(std::size_t i) {
    const Curve& c = curves_[i];
    const std::string stroke = cat("stroke=\"", colors[i % colors.size()], "\" stroke-width=\"2\"",
                                   i >= colors.size() ? " stroke-dasharray=\"6 3\"" : "");
    out_ += cat("<path class=\"curve\" fill=\"none\" ", stroke, " d=\"", path(c.share), "\"/>\n");
    // The mean, as a triangle on the axis.
    const double base = top + plot_height;
    if (const double x = x_of(c.mean); c.mean > 0 && x <= left + plot_width) {
      out_ += cat("<path class=\"mean\" d=\"M", number(x), " ", number(base - 10),
                  " l5 10 h-10 z\" fill=\"", colors[i % colors.size()], "\"/>\n");
    }
    const double y = top + 12 + 20 * static_cast<double>(i);
    line(left + plot_width + 16, y - 4, left + plot_width + 40, y - 4, stroke);
    text(left + plot_width + 46, y, "start", c.name + ", mean " + format_fixed(c.mean, 2));
  }

  std::vector<Curve> curves_;
  const HistogramLabels& labels_;
  std::size_t places_;
  double y_step_ = 20, y_top_ = 100;
  std::string out_;
};

}  // namespace

std::string xml_escape(std::string_view bytes) {
  std::string out;
  for (const char c : text::replace_invalid(bytes)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&apos;";
    else if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r')
      text::append_utf8(out, 0xFFFD);
    else
      out += c;
  }
  return out;
}

std::string histogram_svg(const std::vector<HistogramSeries>& series,
                          const HistogramLabels& labels) {
  return Plot(make_curves(series), labels).draw();
}

}  // namespace blt::stats
