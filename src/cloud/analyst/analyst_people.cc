// The only C++ of the house. Each region of motion is cut out with room around it, scaled so that what
// moved is about as tall as the detector's person, and searched from there towards larger people. No
// exception leaves this file.
#include "cloud/analyst/analyst_people.h"

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>
#include <vector>

namespace {

cv::HOGDescriptor *detector;

constexpr double person_rows = 96;      // of the window's 128 rows a person fills about 96
constexpr double smallest_part = 0.6;   // of the moving height: two people, one behind the other
constexpr double scale_most = 2.0;      // beyond, there is nothing left to see
constexpr double area_most = 640 * 480; // scaled pixels a region: bounds the time of a look
constexpr int window_width = 64, window_height = 128;

struct cut {
    cv::Rect where;
    double scale;
};

// Room for a person around what moved: often only legs or arms did.
cut place(const porch_analyst_grey &picture, const porch_analyst_region &r) {
    double scale = std::min(scale_most, person_rows / (std::max(r.h, 1u) * smallest_part));
    double grow_y = std::max(r.h * 0.35, window_height * 0.25 / scale);
    double height = r.h + 2 * grow_y;
    double width = std::max(r.w + 2 * r.h * 0.25, window_width * 1.75 / scale);
    height = std::max(height, window_height * 1.25 / scale);
    width = std::min<double>(width, picture.width);
    height = std::min<double>(height, picture.height);
    double x = std::clamp(r.x + r.w / 2.0 - width / 2, 0.0, picture.width - width);
    double y = std::clamp(r.y + r.h / 2.0 - height / 2, 0.0, picture.height - height);
    cv::Rect where{int(x), int(y), int(width), int(height)};
    double area = double(where.width) * where.height * scale * scale;
    if (area > area_most) scale *= std::sqrt(area_most / area);
    // a picture smaller than the window is enlarged until the window fits
    scale =
        std::max({scale, double(window_width + 2) / where.width, double(window_height + 2) / where.height});
    return {where, scale};
}

bool same(const porch_analyst_region &a, const porch_analyst_region &b) {
    cv::Rect ra{int(a.x), int(a.y), int(a.w), int(a.h)}, rb{int(b.x), int(b.y), int(b.w), int(b.h)};
    return (ra & rb).area() * 2 > std::min(ra.area(), rb.area());
}

// The window has air around the person: what is told is the person.
porch_analyst_region tight(const cv::Rect &found, const cut &c) {
    double w = found.width / c.scale, h = found.height / c.scale;
    double x = c.where.x + found.x / c.scale + w * 0.15, y = c.where.y + found.y / c.scale + h * 0.08;
    x = std::max(x, 0.0);
    y = std::max(y, 0.0);
    return {uint32_t(x), uint32_t(y), uint32_t(w * 0.7), uint32_t(h * 0.84)};
}

void look(const porch_analyst_grey &picture, const cut &c, double least_score,
          std::vector<porch_analyst_found> &found) {
    cv::Mat whole(int(picture.height), int(picture.width), CV_8UC1, const_cast<uint8_t *>(picture.at),
                  picture.stride);
    cv::Mat scaled;
    cv::resize(whole(c.where), scaled, cv::Size(), c.scale, c.scale,
               c.scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
    std::vector<cv::Rect> boxes;
    std::vector<double> weights;
    detector->detectMultiScale(scaled, boxes, weights, least_score, cv::Size(8, 8), cv::Size(8, 8), 1.08,
                               1.0);
    for (size_t i = 0; i < boxes.size() && i < weights.size(); i++) {
        porch_analyst_found f{tight(boxes[i], c), weights[i]};
        f.box.x = std::min(f.box.x, picture.width - 1);
        f.box.y = std::min(f.box.y, picture.height - 1);
        f.box.w = std::min(f.box.w, picture.width - f.box.x);
        f.box.h = std::min(f.box.h, picture.height - f.box.y);
        if (f.score >= least_score) found.push_back(f);
    }
}

} // namespace

porch_err porch_analyst_people_prepare(void) {
    try {
        cv::setNumThreads(1);
        detector = new cv::HOGDescriptor();
        detector->setSVMDetector(cv::HOGDescriptor::getDefaultPeopleDetector());
        return PORCH_OK;
    } catch (...) {
        return PORCH_ERR_INTERNAL;
    }
}

porch_err porch_analyst_people_find(const porch_analyst_grey *picture, const porch_analyst_region *regions,
                                    size_t regions_count, double least_score, porch_analyst_found *ret,
                                    size_t cap, size_t *count) {
    try {
        if (detector == nullptr || picture->width < 16 || picture->height < 16) return PORCH_ERR_INTERNAL;
        std::vector<porch_analyst_found> found;
        for (size_t i = 0; i < regions_count; i++)
            look(*picture, place(*picture, regions[i]), least_score, found);
        std::sort(found.begin(), found.end(),
                  [](const auto &a, const auto &b) { return a.score > b.score; });
        size_t n = 0;
        for (const auto &f : found) {
            bool known = std::any_of(ret, ret + n, [&](const auto &k) { return same(k.box, f.box); });
            if (!known && n < cap) ret[n++] = f;
        }
        *count = n;
        return PORCH_OK;
    } catch (...) {
        return PORCH_ERR_INTERNAL;
    }
}
