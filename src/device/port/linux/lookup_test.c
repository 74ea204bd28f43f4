#include "device/port/linux/lookup.h"

#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "os/socket.h"

static sem_t asked, may_answer;

static int answer_when_let(const char *host, const char *service, const struct addrinfo *hints,
                           struct addrinfo **ret) {
    (void)sem_post(&asked);
    (void)sem_wait(&may_answer);
    if (strcmp(host, "hub.test") != 0) return EAI_NONAME;
    return getaddrinfo("127.0.0.1", service, hints, ret);
}

static int setup(void **state) {
    (void)state;
    return sem_init(&asked, 0, 0) != 0 || sem_init(&may_answer, 0, 0) != 0;
}

static int nobody_is_asked(const char *host, const char *service, const struct addrinfo *hints,
                           struct addrinfo **ret) {
    (void)host;
    (void)service;
    (void)hints;
    (void)ret;
    fail();
    return EAI_FAIL;
}

static void an_address_is_its_own_answer(void **state) {
    static const char *const addresses[] = {"127.0.0.1", "::1", "192.0.2.7"};
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct addrinfo *found = NULL;
        porch_lookup *l;
        assert_int_equal(porch_lookup_start(nobody_is_asked, addresses[i], 8883, &l, &found, NULL),
                         PORCH_OK);
        assert_null(l);
        assert_non_null(found);
        freeaddrinfo(found);
    }
}

static void a_name_is_asked_for_on_another_thread(void **state) {
    (void)state;
    struct addrinfo *found = NULL;
    porch_lookup *l;
    assert_int_equal(porch_lookup_start(answer_when_let, "hub.test", 8883, &l, &found, NULL), PORCH_OK);
    assert_null(found);
    (void)sem_wait(&asked);
    assert_int_equal(porch_lookup_take(l, &found, NULL), PORCH_ERR_AGAIN);
    (void)sem_post(&may_answer);
    assert_int_equal(porch_socket_wait(porch_lookup_fd(l), POLLIN, 10000), PORCH_OK);
    assert_int_equal(porch_lookup_take(l, &found, NULL), PORCH_OK);
    assert_non_null(found);
    freeaddrinfo(found);
    porch_lookup_leave(l);
}

static void a_name_that_is_nobodys_is_told(void **state) {
    (void)state;
    struct addrinfo *found = NULL;
    porch_lookup *l;
    porch_why why = {{0}};
    assert_int_equal(porch_lookup_start(answer_when_let, "other.test", 8883, &l, &found, NULL), PORCH_OK);
    (void)sem_post(&may_answer);
    assert_int_equal(porch_socket_wait(porch_lookup_fd(l), POLLIN, 10000), PORCH_OK);
    assert_int_equal(porch_lookup_take(l, &found, &why), PORCH_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "other.test does not resolve"));
    assert_null(found);
    porch_lookup_leave(l);
}

/* The sanitizer tells of what is used after it was freed, and of what never is. */
static void who_leaves_does_not_wait_for_the_answer(void **state) {
    (void)state;
    struct addrinfo *found = NULL;
    porch_lookup *l;
    assert_int_equal(porch_lookup_start(answer_when_let, "hub.test", 8883, &l, &found, NULL), PORCH_OK);
    (void)sem_wait(&asked);
    porch_lookup_leave(l);
    (void)sem_post(&may_answer);
    /* with an answer that nobody has taken */
    assert_int_equal(porch_lookup_start(answer_when_let, "hub.test", 8883, &l, &found, NULL), PORCH_OK);
    (void)sem_post(&may_answer);
    assert_int_equal(porch_socket_wait(porch_lookup_fd(l), POLLIN, 10000), PORCH_OK);
    porch_lookup_leave(l);
    porch_lookup_leave(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_address_is_its_own_answer, setup),
        cmocka_unit_test_setup(a_name_is_asked_for_on_another_thread, setup),
        cmocka_unit_test_setup(a_name_that_is_nobodys_is_told, setup),
        cmocka_unit_test_setup(who_leaves_does_not_wait_for_the_answer, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
