#include "cloud/signer/signer_room.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

typedef struct {
    char path[64];
    int dir_fd;
    porch_signer_steps steps;
    porch_signer_head head;
} place;

static int arrive(void **state) {
    static place the_place;
    place *p = &the_place;
    memset(p, 0, sizeof *p);
    snprintf(p->path, sizeof p->path, "/tmp/porch-journal-XXXXXX");
    if (!mkdtemp(p->path)) return -1;
    p->dir_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = p;
    return porch_signer_steps_init(&p->steps, 1000) == PORCH_OK ? 0 : -1;
}

static int leave(void **state) {
    place *p = *state;
    (void)unlinkat(p->dir_fd, "journal", 0);
    close(p->dir_fd);
    (void)rmdir(p->path);
    porch_signer_steps_free(&p->steps);
    return 0;
}

static void remember(porch_bytes account, uint64_t step, void *ctx) {
    porch_signer_account *row = porch_signer_steps_find(ctx, account);
    if (row && step > row->last_step) row->last_step = step;
}

static porch_err open_again(place *p, porch_signer_journal *j) {
    porch_signer_steps_free(&p->steps);
    assert_int_equal(porch_signer_steps_init(&p->steps, 1000), PORCH_OK);
    return porch_signer_journal_open(p->dir_fd, remember, &p->steps, &p->head, j, NULL);
}

static void the_last_head_is_known_after_a_restart_and_none_goes_back(void **state) {
    place *p = *state;
    porch_signer_journal j;
    const uint8_t one[32] = {1}, two[32] = {2};
    p->head = (porch_signer_head){.seq = 0};
    assert_int_equal(open_again(p, &j), PORCH_OK);
    assert_int_equal(porch_signer_journal_head(&j, 1, 5, one, NULL), PORCH_OK);
    assert_int_equal(porch_signer_journal_head(&j, 2, 9, two, NULL), PORCH_OK);
    porch_signer_journal_close(&j);
    p->head = (porch_signer_head){.seq = 0};
    assert_int_equal(open_again(p, &j), PORCH_OK);
    assert_int_equal(p->head.seq, 9);
    assert_memory_equal(p->head.hash, two, 32);
    assert_int_equal(porch_signer_journal_head(&j, 3, 7, one, NULL), PORCH_OK);
    porch_signer_journal_close(&j);
    p->head = (porch_signer_head){.seq = 0};
    assert_int_equal(open_again(p, &j), PORCH_ERR_STATE);
}

static void an_accepted_step_is_known_after_a_restart(void **state) {
    place *p = *state;
    porch_signer_journal j;
    assert_int_equal(open_again(p, &j), PORCH_OK);
    assert_int_equal(porch_signer_journal_step(&j, 1, PORCH_LIT("robin"), 50, NULL), PORCH_OK);
    assert_int_equal(porch_signer_journal_issue(&j, 2, "device", PORCH_LIT("cam"), "0a", 99, NULL),
                     PORCH_OK);
    assert_int_equal(porch_signer_journal_step(&j, 3, PORCH_LIT("robin"), 51, NULL), PORCH_OK);
    porch_signer_journal_close(&j);
    assert_int_equal(open_again(p, &j), PORCH_OK);
    assert_int_equal(porch_signer_steps_find(&p->steps, PORCH_LIT("robin"))->last_step, 51);
    assert_int_equal(p->steps.count, 1);
    porch_signer_journal_close(&j);
}

static void a_line_cut_at_any_byte_by_a_power_loss_does_not_spoil_the_next(void **state) {
    place *p = *state;
    static const char last[] = "totp 3 robin 51\n";
    for (size_t cut = 1; cut < sizeof last - 1; cut++) {
        porch_signer_journal j;
        (void)unlinkat(p->dir_fd, "journal", 0);
        assert_int_equal(open_again(p, &j), PORCH_OK);
        assert_int_equal(porch_signer_journal_step(&j, 1, PORCH_LIT("robin"), 50, NULL), PORCH_OK);
        assert_int_equal(write(j.fd, last, cut), (ssize_t)cut);
        porch_signer_journal_close(&j);
        assert_int_equal(open_again(p, &j), PORCH_OK);
        assert_int_equal(porch_signer_journal_step(&j, 4, PORCH_LIT("kim"), 60, NULL), PORCH_OK);
        porch_signer_journal_close(&j);
        assert_int_equal(open_again(p, &j), PORCH_OK);
        assert_int_equal(porch_signer_steps_find(&p->steps, PORCH_LIT("robin"))->last_step, 50);
        assert_int_equal(porch_signer_steps_find(&p->steps, PORCH_LIT("kim"))->last_step, 60);
        porch_signer_journal_close(&j);
    }
}

static void a_changed_line_stops_the_signer_with_its_number(void **state) {
    place *p = *state;
    static const char *const bad[] = {"totp 1 robin fifty\n", "steal 1 robin 50\n", "totp 1 robin 50 60\n",
                                      "totp -1 robin 50\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        porch_signer_journal j;
        porch_why why = {""};
        (void)unlinkat(p->dir_fd, "journal", 0);
        int fd = openat(p->dir_fd, "journal", O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, "totp 1 kim 1\n", 13), 13);
        assert_int_equal(write(fd, bad[i], strlen(bad[i])), (ssize_t)strlen(bad[i]));
        close(fd);
        assert_int_equal(porch_signer_journal_open(p->dir_fd, remember, &p->steps, &p->head, &j, &why),
                         PORCH_ERR_STATE);
        assert_non_null(strstr(why.text, "line 2"));
    }
}

static void a_journal_longer_than_one_read_is_replayed_whole(void **state) {
    place *p = *state;
    porch_signer_journal j;
    int fd = openat(p->dir_fd, "journal", O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 3000; i++)
        assert_true(dprintf(fd, "totp %d account-%d %d\n", i, i % 300, i) > 0);
    close(fd);
    assert_int_equal(open_again(p, &j), PORCH_OK);
    assert_int_equal(p->steps.count, 300);
    assert_int_equal(porch_signer_steps_find(&p->steps, PORCH_LIT("account-299"))->last_step, 2999);
    porch_signer_journal_close(&j);
}

static size_t count_of(const place *p, const char *text) {
    uint8_t *bytes = NULL;
    size_t len = 0, found = 0;
    assert_int_equal(porch_file_read_at(p->dir_fd, "journal", 1 << 20, &bytes, &len, NULL), PORCH_OK);
    for (const uint8_t *at = bytes;
         (at = memmem(at, len - (size_t)(at - bytes), text, strlen(text))) != NULL; at++)
        found++;
    free(bytes);
    return found;
}

static void a_forgotten_name_is_in_no_line_and_the_lines_stay(void **state) {
    place *p = *state;
    porch_signer_journal j;
    assert_int_equal(open_again(p, &j), PORCH_OK);
    for (int i = 0; i < 400; i++) { /* longer than one read */
        assert_int_equal(
            porch_signer_journal_issue(&j, 1, "device", PORCH_LIT("front-door"), "0a", 99, NULL), PORCH_OK);
        assert_int_equal(
            porch_signer_journal_issue(&j, 1, "device", PORCH_LIT("front-door-2"), "0b", 99, NULL),
            PORCH_OK);
    }
    assert_int_equal(porch_signer_journal_issue(&j, 2, "service", PORCH_LIT("front-door"), "0c", 99, NULL),
                     PORCH_OK);
    assert_int_equal(porch_signer_journal_step(&j, 3, PORCH_LIT("robin"), 50, NULL), PORCH_OK);
    assert_int_equal(porch_signer_journal_step(&j, 3, PORCH_LIT("kim"), 51, NULL), PORCH_OK);
    assert_int_equal(porch_signer_journal_forget(&j, 4, PORCH_LIT("device:front-door"), NULL), PORCH_OK);
    assert_int_equal(porch_signer_journal_forget(&j, 5, PORCH_LIT("account:robin"), NULL), PORCH_OK);
    assert_int_equal(porch_signer_journal_forget(&j, 6, PORCH_LIT("account:robin"), NULL),
                     PORCH_OK); /* again */
    assert_int_equal(porch_signer_journal_forget(&j, 7, PORCH_LIT("seal:x"), NULL), PORCH_ERR_MALFORMED);
    porch_signer_journal_close(&j);
    assert_int_equal(count_of(p, "device front-door "), 0);
    assert_int_equal(count_of(p, "issue 1 device ---------- 0a 99\n"), 400);
    assert_int_equal(count_of(p, "device front-door-2 "), 400);
    assert_int_equal(count_of(p, "service front-door "), 1);
    assert_int_equal(count_of(p, "robin"), 0);
    assert_int_equal(count_of(p, "forget 4 400\n"), 1);
    assert_int_equal(count_of(p, "forget 5 1\n"), 1);
    assert_int_equal(count_of(p, "forget"), 2);
    assert_int_equal(open_again(p, &j), PORCH_OK);
    assert_int_equal(porch_signer_steps_find(&p->steps, PORCH_LIT("kim"))->last_step, 51);
    assert_int_equal(p->steps.count, 1);
    porch_signer_journal_close(&j);
}

static void the_table_of_accounts_stops_at_its_limit(void **state) {
    (void)state;
    porch_signer_steps s;
    char name[32];
    assert_int_equal(porch_signer_steps_init(&s, 200), PORCH_OK);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "a-%d", i);
        assert_non_null(porch_signer_steps_find(&s, porch_bytes_of(name)));
    }
    assert_null(porch_signer_steps_find(&s, PORCH_LIT("one-more")));
    assert_non_null(porch_signer_steps_find(&s, PORCH_LIT("a-0")));
    porch_signer_steps_free(&s);
}

static void a_rate_gives_its_turns_and_then_says_how_long_to_wait(void **state) {
    (void)state;
    uint64_t wait_ms = 0;
    porch_signer_rate r = porch_signer_rate_of(3, 1000);
    for (int i = 0; i < 3; i++)
        assert_true(porch_signer_rate_take(&r, 1000, &wait_ms));
    assert_false(porch_signer_rate_take(&r, 1000, &wait_ms));
    assert_int_equal(wait_ms, 20000);
    assert_false(porch_signer_rate_take(&r, 20999, &wait_ms));
    assert_true(porch_signer_rate_take(&r, 21000, &wait_ms));
    assert_false(porch_signer_rate_take(&r, 21000, &wait_ms));
    /* After a long pause a minute's worth is there, not more. */
    for (int i = 0; i < 3; i++)
        assert_true(porch_signer_rate_take(&r, 99000000, &wait_ms));
    assert_false(porch_signer_rate_take(&r, 99000000, &wait_ms));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_accepted_step_is_known_after_a_restart, arrive, leave),
        cmocka_unit_test_setup_teardown(a_line_cut_at_any_byte_by_a_power_loss_does_not_spoil_the_next,
                                        arrive, leave),
        cmocka_unit_test_setup_teardown(the_last_head_is_known_after_a_restart_and_none_goes_back, arrive,
                                        leave),
        cmocka_unit_test_setup_teardown(a_changed_line_stops_the_signer_with_its_number, arrive, leave),
        cmocka_unit_test_setup_teardown(a_journal_longer_than_one_read_is_replayed_whole, arrive, leave),
        cmocka_unit_test_setup_teardown(a_forgotten_name_is_in_no_line_and_the_lines_stay, arrive, leave),
        cmocka_unit_test(the_table_of_accounts_stops_at_its_limit),
        cmocka_unit_test(a_rate_gives_its_turns_and_then_says_how_long_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
