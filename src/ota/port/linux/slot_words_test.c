/* The words of both programs: what each takes, what is refused, and that an image is what was signed. */
#include "ota/port/linux/slot_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ABC \
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* sha256 of abc, FIPS 180-4 */

static const porch_slot_program launch = {"launch", "help\n", "--image", false, true},
                                rauc = {"rauc", "help\n", "--bundle", true, false};

/* Words to the first NULL. */
static int said(const porch_slot_program *p, porch_slot_words *w, const char *const *words) {
    char *argv[12] = {(char *)(uintptr_t)p->program};
    int n = 1;
    for (; words[n - 1] != NULL; n++)
        argv[n] = (char *)(uintptr_t)words[n - 1];
    *w = (porch_slot_words){0};
    return porch_slot_words_read(p, n, argv, w);
}
#define SAID(p, w, ...) said(p, w, (const char *const[]){__VA_ARGS__, NULL})

static void each_program_takes_its_own_words(void **state) {
    porch_slot_words w;
    (void)state;
    assert_int_equal(SAID(&launch, &w, "/slots"), -1); /* starts what runs */
    assert_true(strcmp(w.folder, "/slots") == 0 && w.command == NULL && w.rest == NULL);
    assert_int_equal(SAID(&launch, &w, "/slots", "--", "--image"), -1);
    assert_true(w.rest != NULL && strcmp(w.rest[1], "--image") == 0 && w.image == NULL);
    assert_int_equal(SAID(&rauc, &w, "/slots"), PORCH_SLOT_WORDS_USAGE);
    assert_int_equal(SAID(&rauc, &w, "/slots", "status", "--"), PORCH_SLOT_WORDS_USAGE);
    assert_int_equal(
        SAID(&rauc, &w, "/slots", "init", "--bundle", "b", "--counter", "7", "--bus", "unix:x"), -1);
    assert_true(strcmp(w.image, "b") == 0 && strcmp(w.counter, "7") == 0 && strcmp(w.bus, "unix:x") == 0);
    assert_int_equal(SAID(&launch, &w, "/slots", "init", "--bundle", "b"), PORCH_SLOT_WORDS_USAGE);
    assert_int_equal(SAID(&launch, &w, "/slots", "init", "--bus", "b"), PORCH_SLOT_WORDS_USAGE);
    assert_int_equal(SAID(&rauc, &w, "--help"), PORCH_SLOT_WORDS_DONE);
}

static void a_counter_in_the_tpm_has_a_place(void **state) {
    porch_slot_words w;
    (void)state;
    assert_int_equal(SAID(&launch, &w, "/s", "--tpm", "t", "--floor-at", "0x01800010"), -1);
    assert_int_equal(w.floor_index, 0x01800010);
    assert_int_equal(SAID(&launch, &w, "/s", "--tpm", "t", "--floor-at", "10"), PORCH_SLOT_WORDS_USAGE);
    assert_int_equal(SAID(&launch, &w, "/s", "--tpm", "t"), PORCH_SLOT_WORDS_USAGE);
    assert_int_equal(SAID(&launch, &w, "/s", "--floor-at", "0x01800010"), PORCH_SLOT_WORDS_USAGE);
    assert_int_equal(SAID(&launch, &w, "/s", "--floor-at"), PORCH_SLOT_WORDS_USAGE);
}

static void an_image_is_the_one_that_was_signed(void **state) {
    char file[] = "/tmp/porch-words-XXXXXX";
    porch_slot_words w = {.image = file, .counter = "7"};
    porch_slot_image image;
    porch_why why = {""};
    (void)state;
    int fd = mkstemp(file);
    assert_true(fd >= 0 && write(fd, "abc", 3) == 3 && close(fd) == 0);
    assert_int_equal(porch_slot_words_image(&launch, &w, false, &image, &why), PORCH_OK);
    assert_true(image.length == 3 && image.counter == 7);
    assert_int_equal(porch_slot_words_image(&launch, &w, true, &image, &why), PORCH_ERR_USAGE);
    assert_non_null(strstr(why.text, "--sha256"));
    w.sha256 = ABC;
    assert_int_equal(porch_slot_words_image(&launch, &w, true, &image, &why), PORCH_OK);
    static const char *const bad[] = {"", "ba78", ABC "00", "xy"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        w.sha256 = bad[i];
        assert_int_equal(porch_slot_words_image(&launch, &w, true, &image, &why), PORCH_ERR_USAGE);
    }
    char other[] = ABC;
    other[63] = 'e';
    w.sha256 = other;
    assert_int_equal(porch_slot_words_image(&launch, &w, false, &image, &why), PORCH_ERR_HASH);
    w.counter = "-1";
    assert_int_equal(porch_slot_words_image(&rauc, &w, false, &image, &why), PORCH_ERR_USAGE);
    assert_non_null(strstr(why.text, "--bundle"));
    (void)unlink(file);
    w.counter = "7";
    assert_int_not_equal(porch_slot_words_image(&launch, &w, false, &image, &why), PORCH_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_program_takes_its_own_words),
        cmocka_unit_test(a_counter_in_the_tpm_has_a_place),
        cmocka_unit_test(an_image_is_the_one_that_was_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
