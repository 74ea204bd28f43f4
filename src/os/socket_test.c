#include "os/socket.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_connection_goes_through_and_names_its_peer(void **state) {
    (void)state;
    static const char *const hosts[][2] = {
        {"127.0.0.1", "127.0.0.1"}, {"*", "127.0.0.1"}, {"localhost", "localhost"}};
    for (size_t i = 0; i < 3; i++) {
        int listener = -1, client = -1, server = -1;
        uint16_t port = 0;
        assert_int_equal(porch_socket_listen_tcp(hosts[i][0], 0, 8, &listener, &port, NULL), PORCH_OK);
        assert_true(port > 0);
        assert_int_equal(porch_socket_accept(listener, &server), PORCH_ERR_AGAIN);
        assert_int_equal(porch_socket_connect_tcp(hosts[i][1], port, 5000, &client, NULL), PORCH_OK);
        assert_int_equal(porch_socket_wait(listener, POLLIN, 5000), PORCH_OK);
        assert_int_equal(porch_socket_accept(listener, &server), PORCH_OK);
        char text[PORCH_ADDRESS_TEXT_BYTES];
        porch_socket_address_text(server, text);
        if (i < 2) assert_string_equal(text, "127.0.0.1");
        char byte = 'x';
        assert_int_equal(read(server, &byte, 1), -1); /* non-blocking */
        assert_int_equal(write(client, &byte, 1), 1);
        assert_int_equal(porch_socket_wait(server, POLLIN, 5000), PORCH_OK);
        assert_int_equal(read(server, &byte, 1), 1);
        close(client);
        close(server);
        close(listener);
    }
}

static void a_port_taken_is_named(void **state) {
    (void)state;
    int first = -1, second = -1;
    uint16_t port = 0, other = 0;
    porch_why why = {""};
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 8, &first, &port, NULL), PORCH_OK);
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", port, 8, &second, &other, &why),
                     PORCH_ERR_EXISTS);
    assert_non_null(strstr(why.text, "127.0.0.1"));
    close(first);
}

static void nobody_at_home_is_told_from_no_such_name(void **state) {
    (void)state;
    int listener = -1, fd = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 8, &listener, &port, NULL), PORCH_OK);
    close(listener);
    assert_int_equal(porch_socket_connect_tcp("127.0.0.1", port, 5000, &fd, NULL), PORCH_ERR_CLOSED);
    assert_int_equal(porch_socket_connect_tcp("no such name", 1, 100, &fd, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(fd, -1);
}

static void out_of_descriptors_is_busy_and_not_an_end(void **state) {
    (void)state;
    int listener = -1, client = -1, server = -1;
    uint16_t port = 0;
    assert_int_equal(porch_socket_listen_tcp("127.0.0.1", 0, 8, &listener, &port, NULL), PORCH_OK);
    assert_int_equal(porch_socket_connect_tcp("127.0.0.1", port, 5000, &client, NULL), PORCH_OK);
    assert_int_equal(porch_socket_wait(listener, POLLIN, 5000), PORCH_OK);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    porch_err e = porch_socket_accept(listener, &server);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(e, PORCH_ERR_BUSY);
    assert_int_equal(porch_socket_accept(listener, &server), PORCH_OK);
    close(server);
    close(client);
    close(listener);
}

static void a_unix_socket_has_its_mode_and_knows_its_peer(void **state) {
    (void)state;
    char folder[] = "/tmp/porch-socket-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/s", folder);
    int listener = -1, second = -1, client = -1, server = -1;
    assert_int_equal(porch_socket_connect_unix(path, &client, NULL), PORCH_ERR_NOT_FOUND);
    assert_int_equal(porch_socket_listen_unix(path, 0600, 8, &listener, NULL), PORCH_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(porch_socket_listen_unix(path, 0600, 8, &second, NULL), PORCH_ERR_BUSY);
    /* The probe of the second listener waits in the queue: take it away first. */
    assert_int_equal(porch_socket_accept(listener, &server), PORCH_OK);
    close(server);
    assert_int_equal(porch_socket_connect_unix(path, &client, NULL), PORCH_OK);
    assert_int_equal(porch_socket_accept(listener, &server), PORCH_OK);
    uid_t who = 12345;
    assert_int_equal(porch_socket_peer_uid(server, &who), PORCH_OK);
    assert_int_equal(who, getuid());
    char text[PORCH_ADDRESS_TEXT_BYTES];
    porch_socket_address_text(server, text);
    assert_string_equal(text, "unix");
    close(client);
    close(server);
    close(listener);
    /* What a dead process left behind is replaced; a plain file is not. */
    assert_int_equal(porch_socket_connect_unix(path, &client, NULL), PORCH_ERR_CLOSED);
    assert_int_equal(porch_socket_listen_unix(path, 0600, 8, &listener, NULL), PORCH_OK);
    close(listener);
    assert_int_equal(unlink(path), 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(porch_socket_listen_unix(path, 0600, 8, &listener, NULL), PORCH_ERR_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void a_unix_path_too_long_is_refused(void **state) {
    (void)state;
    char path[200];
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    int fd = -1;
    assert_int_equal(porch_socket_listen_unix(path, 0600, 8, &fd, NULL), PORCH_ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_goes_through_and_names_its_peer),
        cmocka_unit_test(a_port_taken_is_named),
        cmocka_unit_test(nobody_at_home_is_told_from_no_such_name),
        cmocka_unit_test(out_of_descriptors_is_busy_and_not_an_end),
        cmocka_unit_test(a_unix_socket_has_its_mode_and_knows_its_peer),
        cmocka_unit_test(a_unix_path_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
