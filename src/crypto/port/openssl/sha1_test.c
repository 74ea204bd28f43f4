#include "crypto/sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

/* FIPS 180-4 by its published examples, and the one of RFC 6455, 1.3. */
static void known_texts_have_their_digests(void **state) {
    (void)state;
    static const struct {
        const char *text, *hex;
    } rows[] = {
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
         "b37a4f2cc0624f1690f64606cf385945b2bec4ea"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t raw[PORCH_SHA1_BYTES], text[2 * PORCH_SHA1_BYTES];
        porch_buf hex = PORCH_BUF_OF(text);
        porch_sha1(porch_bytes_of(rows[i].text), raw);
        assert_int_equal(porch_hex_write(&hex, (porch_bytes){raw, sizeof raw}), PORCH_OK);
        assert_true(porch_bytes_eq_text(porch_buf_bytes(&hex), rows[i].hex));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_texts_have_their_digests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
