#include "cloud/accounts/accounts_qr.h"

#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET = 4 /* modules of white around it, as ISO/IEC 18004 asks */ };

/* Rows of dark modules as horizontal strokes: "M x y h n v1 h-n z". */
static size_t draw(const QRcode *code, char *out, size_t cap) {
    size_t len = 0;
    for (int y = 0; y < code->width; y++) {
        for (int x = 0; x < code->width;) {
            int run = 0;
            while (x + run < code->width && (code->data[y * code->width + x + run] & 1) != 0)
                run++;
            if (run > 0) {
                int n = snprintf(out + len, cap - len, "M%d %dh%dv1h-%dz", x + QUIET, y + QUIET, run, run);
                if (n < 0 || (size_t)n >= cap - len) return 0;
                len += (size_t)n;
            }
            x += run > 0 ? run : 1;
        }
    }
    return len;
}

porch_err porch_qr_svg(const char *text, char **ret, porch_why *why) {
    porch_err e = PORCH_OK;
    char *svg = NULL;
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (code == NULL)
        return porch_fail(why, PORCH_ERR_LIMIT, "the text does not fit into a QR code; shorten it");
    size_t cap = 512 + (size_t)code->width * (size_t)code->width * 12;
    svg = malloc(cap);
    if (svg == NULL) {
        e = porch_fail(why, PORCH_ERR_NO_SPACE, "no memory for a QR code");
        goto out;
    }
    int side = code->width + 2 * QUIET;
    int n = snprintf(svg, cap,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
                     "shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/>"
                     "<path fill=\"#000\" d=\"",
                     side, side, side, side);
    size_t len = n > 0 ? (size_t)n : 0;
    size_t drawn = draw(code, svg + len, cap - len);
    if (n <= 0 || drawn == 0 || cap - len - drawn < 16) {
        e = porch_fail(why, PORCH_ERR_INTERNAL, "the QR code's picture came out wrong");
        goto out;
    }
    (void)snprintf(svg + len + drawn, cap - len - drawn, "\"/></svg>");
    *ret = svg;
    svg = NULL;
out:
    if (code->data != NULL) porch_wipe(code->data, (size_t)code->width * (size_t)code->width);
    QRcode_free(code);
    free(svg);
    return e;
}
