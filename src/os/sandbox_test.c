/* Each attempt runs in a child that enters a profile and then tries what it must not be able to do. */
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef PORCH_SANITIZE
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { DID = 0, REFUSED = 1, KILLED = 2, BROKEN = 3 };
static char folder[64];

/* Each attempt returns true when it succeeded. */
static bool open_passwd(void) {
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}
static bool open_root_certificates(void) {
    return open("/etc/ssl/certs", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0;
}
static bool write_own_folder(void) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/file", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && ftruncate(fd, 0) == 0 &&
           unlink(path) == 0;
}
static bool write_elsewhere(void) {
    return open("/tmp/porchlight-sandbox-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}
static bool internet_socket(void) {
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}
static bool unix_socket(void) {
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}
/* It could send to any socket of the machine, a log's among them. */
static bool pair_of_datagrams(void) {
    int fd[2];
    return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fd) == 0;
}
static bool pair_of_messages(void) {
    int fd[2];
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0;
}
/* By its name no right to open it is needed, and not every kernel's Landlock asks. */
static bool cut_a_file_by_name(void) {
    return truncate("/tmp/porchlight-sandbox-test", 0) == 0 || errno == ENOENT;
}
static bool packet_socket(void) {
    return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}
static void leave_by_abort(int number) {
    (void)number;
    _exit(DID);
}
static bool raw_socket(void) {
    return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0;
}
static bool resolve_and_connect(void) {
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo("localhost", "9", &hints, &found) != 0) return false;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0 && errno == ECONNREFUSED;
    freeaddrinfo(found);
    return refused; /* nobody listens there: the attempt itself is what counts */
}
static bool type_into_a_terminal(void) {
    return ioctl(STDERR_FILENO, TIOCSTI, "x") == 0;
}
static bool execute(void) {
    char *const words[] = {"true", NULL};
    (void)execv("/bin/true", words);
    return false;
}
static bool trace(void) {
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}
static bool kill_parent(void) {
    return kill(getppid(), 0) == 0;
}
static bool fork_child(void) {
    pid_t child = fork();
    if (child == 0) _exit(7);
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 7;
}
static void *nothing(void *arg) {
    return arg;
}
static bool start_thread(void) {
    pthread_t t;
    return pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0;
}
static bool executable_memory(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}
static bool compute(void) {
    struct stat st;
    void *block = malloc(1 << 20);
    if (block == NULL || fstat(STDERR_FILENO, &st) != 0) return false;
    memset(block, 1, 1 << 20);
    free(block);
    return true;
}
static bool ask_for_a_terminal(void) {
    return isatty(STDERR_FILENO) == 0 && errno == ENOTTY;
}
static bool abort_as_itself(void) {
    (void)signal(SIGABRT, leave_by_abort);
    abort();
}
static bool new_namespace(void) {
    return syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */) == 0;
}

static bool read_anothers_memory(void) {
    char there = 0, here = 1;
    struct iovec mine = {&here, 1}, its = {&there, 1};
    return syscall(SYS_process_vm_readv, getppid(), &mine, 1ul, &its, 1ul, 0ul) == 1;
}
static bool hold_another_process(void) {
    return syscall(SYS_pidfd_open, getppid(), 0) >= 0;
}
static bool look_into_proc(void) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)getppid());
    return open(path, O_RDONLY | O_CLOEXEC) >= 0 || open("/proc/self/maps", O_RDONLY | O_CLOEXEC) >= 0;
}
static bool kill_everybody(void) {
    return kill(-1, 0) == 0;
}
static bool change_the_root(void) {
    return chroot("/tmp") == 0;
}
static bool load_a_filter(void) {
    return syscall(SYS_bpf, 0, NULL, 0) >= 0;
}
static bool ring_for_system_calls(void) {
    char parameters[128] = {0};
    return syscall(SYS_io_uring_setup, 1, parameters) >= 0;
}
static bool ask_for_keys(void) {
    return syscall(SYS_keyctl, 0, -3, 0, 0, 0) >= 0;
}
static bool become_root(void) {
    return setresuid(0, 0, 0) == 0;
}
static bool count_the_machines_events(void) {
    char attributes[128] = {0};
    return syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0ul) >= 0;
}

/* The kernel would send a signal of the asker's choice to whomever a file is said to belong to. */
static bool let_a_file_signal_another(void) {
    int ends[2];
    return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[0], F_SETOWN, getppid()) == 0 &&
           fcntl(ends[0], F_SETSIG, SIGURG) == 0;
}
static bool hold_a_file(void) {
    int ends[2], copy;
    if (pipe2(ends, O_CLOEXEC) != 0 || (copy = fcntl(ends[0], F_DUPFD_CLOEXEC, 0)) < 0) return false;
    return fcntl(copy, F_GETFD) == FD_CLOEXEC && fcntl(copy, F_SETFL, O_NONBLOCK) == 0 &&
           (fcntl(copy, F_GETFL) & O_NONBLOCK) != 0;
}

/* ---- what a child of the analyst must not be able to do, although its parent is ---- */

static bool signal_its_parent(void) {
    return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0;
}
static bool signal_itself(void) {
    return syscall(SYS_tgkill, getpid(), getpid(), 0) == 0;
}
static bool take_its_alarm_away(void) {
    (void)alarm(0);
    return true;
}
static bool set_another_timer(void) {
    const struct itimerval never = {{0, 0}, {0, 0}};
    return setitimer(ITIMER_REAL, &never, NULL) == 0;
}
static bool outlive_its_parent(void) {
    return prctl(PR_SET_PDEATHSIG, 0) == 0;
}
static bool wait_for_others(void) {
    return waitpid(-1, NULL, WNOHANG) >= 0 || errno == ECHILD;
}
static bool leave_its_group(void) {
    return setpgid(0, 0) == 0;
}
static bool ignore_its_alarm(void) {
    return signal(SIGALRM, SIG_IGN) != SIG_ERR;
}
static bool block_its_alarm(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGALRM);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0;
}
static bool sleep_over_its_alarm(void) {
    const struct timespec moment = {0, 1};
    sigset_t set;
    (void)sigfillset(&set);
    return ppoll(NULL, 0, &moment, &set) == 0;
}
static bool sleep_a_moment(void) {
    const struct timespec moment = {0, 1};
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    return nanosleep(&moment, NULL) == 0 && poll(&p, 1, 0) >= 0 && ppoll(&p, 1, &moment, NULL) >= 0;
}
static bool add_a_filter(void) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

static int ended(pid_t child) {
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGSYS ? KILLED : BROKEN;
    return WEXITSTATUS(status);
}

static int outcome(const porch_sandbox_profile *base, bool (*attempt)(void)) {
    pid_t child = fork();
    if (child == 0) {
        const char *const own[] = {folder, NULL};
        porch_sandbox_profile profile = *base;
        porch_why why = {""};
        if (profile.flags & PORCH_SANDBOX_FILES_WRITE) profile.read_write = own;
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(quiet, STDERR_FILENO);
        if (porch_sandbox_enter(&profile, &why) != PORCH_OK) _exit(BROKEN);
        _exit(attempt() ? DID : REFUSED);
    }
    return ended(child);
}

/* The same in a child that the analyst's process has forked and shut in. */
static int outcome_in_child(bool (*attempt)(void)) {
    pid_t parent = fork();
    if (parent == 0) {
        porch_why why = {""};
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC), status = 0;
        dup2(quiet, STDERR_FILENO);
        if (porch_sandbox_enter(&porch_sandbox_analyst, &why) != PORCH_OK) _exit(BROKEN);
        pid_t child = fork();
        if (child == 0) {
            if (porch_sandbox_enter_child(&why) != PORCH_OK) _exit(BROKEN);
            _exit(attempt() ? DID : REFUSED);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) _exit(BROKEN);
        if (WIFSIGNALED(status)) _exit(WTERMSIG(status) == SIGSYS ? KILLED : BROKEN);
        _exit(WEXITSTATUS(status));
    }
    return ended(parent);
}

typedef struct {
    const char *what;
    bool (*attempt)(void);
    int hub, signer, analyst, courier;
    bool also_sanitized; /* holds in a build with sanitizers, whose filter is wider */
} attempt_row;

static const attempt_row rows[] = {
    /*                                              hub      signer   analyst  courier  */
    {"compute", compute, DID, DID, DID, DID, true},
    {"ask whether there is a terminal", ask_for_a_terminal, DID, DID, DID, DID, true},
    {"abort", abort_as_itself, DID, DID, KILLED, DID, false}, /* its children have the same filter */
    {"hold a file", hold_a_file, DID, DID, DID, DID, true},
    {"let a file signal another", let_a_file_signal_another, KILLED, KILLED, KILLED, KILLED, true},
    {"start a thread", start_thread, DID, KILLED, DID, DID, false},
    {"fork", fork_child, KILLED, KILLED, DID, KILLED, false},
    {"execute a program", execute, KILLED, KILLED, KILLED, KILLED, true},
    {"trace", trace, KILLED, KILLED, KILLED, KILLED, true},
    {"signal another process", kill_parent, KILLED, KILLED, KILLED, KILLED, true},
    {"read a file of the system", open_passwd, REFUSED, REFUSED, REFUSED, REFUSED, false},
    {"read the root certificates", open_root_certificates, REFUSED, REFUSED, REFUSED, DID, false},
    {"write in its own folder", write_own_folder, DID, DID, REFUSED, REFUSED, false},
    {"write elsewhere", write_elsewhere, REFUSED, REFUSED, REFUSED, REFUSED, false},
    {"make an internet socket", internet_socket, KILLED, KILLED, KILLED, DID, true},
    {"make a Unix socket", unix_socket, KILLED, KILLED, KILLED, REFUSED, true},
    {"make a pair of datagram sockets", pair_of_datagrams, KILLED, KILLED, KILLED, KILLED, true},
    {"make a pair of message sockets", pair_of_messages, DID, KILLED, KILLED, DID, true},
    {"cut a file by its name", cut_a_file_by_name, KILLED, KILLED, KILLED, KILLED, true},
    {"make a raw socket", raw_socket, KILLED, KILLED, KILLED, KILLED, true},
    {"resolve a name and connect", resolve_and_connect, KILLED, KILLED, KILLED, DID, false},
    {"type into a terminal", type_into_a_terminal, KILLED, KILLED, KILLED, KILLED, false},
    {"make a packet socket", packet_socket, KILLED, KILLED, KILLED, KILLED, true},
    {"map executable memory", executable_memory, REFUSED, REFUSED, REFUSED, REFUSED, false},
    {"enter a namespace", new_namespace, KILLED, KILLED, KILLED, KILLED, true},
    {"read another's memory", read_anothers_memory, KILLED, KILLED, KILLED, KILLED, false},
    {"hold another process", hold_another_process, KILLED, KILLED, KILLED, KILLED, true},
    {"look into /proc", look_into_proc, REFUSED, REFUSED, REFUSED, REFUSED, false},
    {"signal everybody", kill_everybody, KILLED, KILLED, KILLED, KILLED, true},
    {"change the root", change_the_root, KILLED, KILLED, KILLED, KILLED, true},
    {"load a kernel filter", load_a_filter, KILLED, KILLED, KILLED, KILLED, true},
    {"make a ring for system calls", ring_for_system_calls, KILLED, KILLED, KILLED, KILLED, true},
    {"ask for the kernel's keys", ask_for_keys, KILLED, KILLED, KILLED, KILLED, true},
    {"become root", become_root, KILLED, KILLED, KILLED, KILLED, true},
    {"count the machine's events", count_the_machines_events, KILLED, KILLED, KILLED, KILLED, true},
};

static void each_profile_allows_its_work_and_nothing_more(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const attempt_row *row = &rows[i];
        const porch_sandbox_profile *profiles[] = {&porch_sandbox_hub, &porch_sandbox_signer,
                                                   &porch_sandbox_analyst, &porch_sandbox_courier};
        const int expected[] = {row->hub, row->signer, row->analyst, row->courier};
        if (SANITIZED && !row->also_sanitized) continue;
        for (size_t p = 0; p < 4; p++) {
            int got = outcome(profiles[p], row->attempt);
            if (got != expected[p])
                fail_msg("%s: '%s' gave %d, expected %d", profiles[p]->name, row->what, got, expected[p]);
        }
    }
}

static void a_child_of_the_analyst_computes_until_its_time_is_over(void **state) {
    static const struct {
        const char *what;
        bool (*attempt)(void);
        int expected;
        bool also_sanitized;
    } tries[] = {
        {"compute", compute, DID, true},
        {"sleep", sleep_a_moment, DID, true},
        {"fork", fork_child, KILLED, false},
        {"start a thread", start_thread, REFUSED, false},
        {"signal its parent", signal_its_parent, KILLED, false},
        {"signal itself", signal_itself, KILLED, false},
        {"take its alarm away", take_its_alarm_away, KILLED, true},
        {"set another timer", set_another_timer, KILLED, true},
        {"ignore its alarm", ignore_its_alarm, REFUSED, false},
        {"block its alarm", block_its_alarm, REFUSED, false},
        {"sleep over its alarm", sleep_over_its_alarm, KILLED, true},
        {"outlive its parent", outlive_its_parent, KILLED, false},
        {"wait for others", wait_for_others, KILLED, true},
        {"leave its group", leave_its_group, KILLED, true},
        {"add a filter", add_a_filter, KILLED, true},
        {"signal another by a file", let_a_file_signal_another, KILLED, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        if (SANITIZED && !tries[i].also_sanitized) continue;
        int got = outcome_in_child(tries[i].attempt);
        if (got != tries[i].expected)
            fail_msg("'%s' gave %d, expected %d", tries[i].what, got, tries[i].expected);
    }
}

static void only_who_may_fork_has_a_wall_for_children(void **state) {
    porch_why why = {""};
    (void)state;
    assert_int_equal(porch_sandbox_enter_child(&why), PORCH_ERR_STATE);
}

static void memory_beyond_the_limit_is_not_given(void **state) {
    (void)state;
    if (SANITIZED) return;
    porch_sandbox_profile small = porch_sandbox_analyst;
    small.memory_bytes = 1 << 20;
    assert_int_equal(outcome(&small, compute), REFUSED);
}

static void *wait_for_ever(void *mutex) {
    pthread_mutex_lock(mutex);
    return NULL;
}

static void a_process_with_threads_is_refused(void **state) {
    (void)state;
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        pthread_t t[2];
        porch_why why = {""};
        pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutex_lock(&held);
        for (int i = 0; i < 2; i++)
            (void)pthread_create(&t[i], NULL, wait_for_ever, &held);
        _exit(porch_sandbox_enter(&porch_sandbox_courier, &why) == PORCH_ERR_STATE ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_profile_allows_its_work_and_nothing_more),
        cmocka_unit_test(a_child_of_the_analyst_computes_until_its_time_is_over),
        cmocka_unit_test(only_who_may_fork_has_a_wall_for_children),
        cmocka_unit_test(memory_beyond_the_limit_is_not_given),
        cmocka_unit_test(a_process_with_threads_is_refused),
    };
    (void)snprintf(folder, sizeof folder, "/tmp/porchlight-sandbox-XXXXXX");
    if (mkdtemp(folder) == NULL) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
