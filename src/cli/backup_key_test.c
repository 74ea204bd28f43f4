#include "cli/backup_key.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_key_is_read_back_from_its_text_and_from_how_people_type_it(void **state) {
    (void)state;
    uint8_t secret[PORCH_BOX_SECRET_BYTES], back[PORCH_BOX_SECRET_BYTES];
    char text[PORCH_BACKUP_KEY_TEXT];
    porch_why why;
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 11 + 3);
    porch_backup_key_text(secret, text);
    assert_int_equal(strlen(text), 71);
    assert_memory_equal(text, "030e1924-2f3a4550-", 18);
    assert_int_equal(porch_backup_key_parse(porch_bytes_of(text), back, &why), PORCH_OK);
    assert_memory_equal(back, secret, sizeof secret);
    char typed[160] = " ";
    size_t len = 1;
    for (size_t i = 0; text[i] != '\0'; i++) {
        char c = text[i];
        if (c == '-') c = i % 2 == 0 ? ' ' : '\t';
        typed[len++] = (char)toupper((unsigned char)c);
        if (i % 10 == 9) typed[len++] = ' ';
    }
    memcpy(typed + len, "\r\n", 3);
    memset(back, 0, sizeof back);
    assert_int_equal(porch_backup_key_parse(porch_bytes_of(typed), back, &why), PORCH_OK);
    assert_memory_equal(back, secret, sizeof secret);
}

static void a_key_too_short_too_long_or_of_other_letters_is_refused(void **state) {
    (void)state;
    uint8_t secret[PORCH_BOX_SECRET_BYTES];
    porch_why why;
    char text[80];
    memset(text, 'a', sizeof text);
    for (size_t len = 0; len < sizeof text; len++)
        assert_int_equal(porch_backup_key_parse((porch_bytes){(const uint8_t *)text, len}, secret, &why),
                         len == 64 ? PORCH_OK : PORCH_ERR_MALFORMED);
    text[5] = 'g';
    assert_int_equal(porch_backup_key_parse((porch_bytes){(const uint8_t *)text, 64}, secret, &why),
                     PORCH_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_read_back_from_its_text_and_from_how_people_type_it),
        cmocka_unit_test(a_key_too_short_too_long_or_of_other_letters_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
