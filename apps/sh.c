/* `tapglass sh`: a shell, or a command, in the network namespace of the running stack's host side,
 * where the kernel is its peer. `tapglass wait`: until the stack is up. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "verbs.h"

#define HELLO_TIMEOUT_MS 5000
#define WAIT_STEP_NS     (20 * NS_PER_MS)

struct wait {
	struct options opt;
	uint64_t timeout_ns;
};

static int no_options(void *ctx, int value, const char *arg)
{
	(void)ctx;
	(void)value;
	(void)arg;
	return 0;
}

const struct verb_spec sh_spec = {
	.usage = "sh [OPTION]... [-- COMMAND [ARGUMENT]...]",
	.about = "Runs a shell or a command where the running stack's peer is this machine's "
		 "kernel: "
		 "in the network\n"
		 "namespace of the link, as the root of that namespace.",
	.example = "  tapglass sh -- ping -c 3 192.0.2.2\n  tapglass sh -- tcpdump -ni tap0\n",
	.name_option = true,
	.max_args = 1000,
	.set = no_options,
};

/* ---- sh -------------------------------------------------------------------------------------- */

static int fail(const char *what, const char *why, const char *fix)
{
	struct tg_host_error e = {.errnum = errno};

	snprintf(e.what, sizeof e.what, "%s", what);
	snprintf(e.why, sizeof e.why, "%s", why != NULL ? why : strerror(errno));
	snprintf(e.fix, sizeof e.fix, "%s", fix);
	tg_host_print_error(&e);
	return EXIT_ENVIRONMENT;
}

/* The namespace of the process, open; -1 if it is ours as well, -2 on failure. */
static int namespace_open(int pid, const char *kind)
{
	char theirs[64], ours[64];
	struct stat a, b;
	int fd;

	snprintf(theirs, sizeof theirs, "/proc/%d/ns/%s", pid, kind);
	snprintf(ours, sizeof ours, "/proc/self/ns/%s", kind);
	fd = open(theirs, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &a) < 0 || stat(ours, &b) < 0) {
		return -2;
	}
	if (a.st_ino == b.st_ino && a.st_dev == b.st_dev) {
		close(fd);
		return -1;
	}
	return fd;
}

static int enter(int pid)
{
	int user = namespace_open(pid, "user"), net = namespace_open(pid, "net");

	if (user == -2 || net == -2) {
		return fail("cannot find the running stack's namespaces", NULL,
			"run it as the user who started the stack");
	}
	if ((user >= 0 && setns(user, CLONE_NEWUSER) < 0) ||
		(net >= 0 && setns(net, CLONE_NEWNET) < 0)) {
		return fail("cannot enter the running stack's namespaces", NULL,
			"run it as the user who started the stack");
	}
	return EXIT_OK;
}

int sh_main(int argc, char **argv)
{
	struct options opt;
	struct control_hello hello;
	struct tg_host_error err;
	const char *shell = getenv("SHELL");
	int fd, first, rc;

	options_default(&opt);
	rc = options_parse(argc, argv, &sh_spec, &opt, NULL, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	fd = control_connect(opt.name, &err);
	if (fd < 0) {
		tg_host_print_error(&err);
		return EXIT_FAILED;
	}
	if (!control_ask_hello(fd, HELLO_TIMEOUT_MS, &hello)) {
		return failure("the running stack does not answer");
	}
	if (strcmp(hello.link, "sim") == 0) {
		errno = 0;
		return fail("there is no namespace to go to",
			"the running stack is on the sim link: its peer is another stack, no "
			"kernel",
			"tapglass doctor tells what other links need");
	}
	rc = enter(hello.pid);
	if (rc != EXIT_OK) {
		return rc;
	}
	if (first < argc) {
		execvp(argv[first], argv + first);
		return failure("cannot run %s: %s", argv[first], strerror(errno));
	}
	if (isatty(STDERR_FILENO) == 1) {
		say("here the kernel is %s and the stack is %s; exit leaves", hello.host,
			hello.stack);
	}
	shell = shell != NULL && shell[0] == '/' ? shell : "/bin/sh";
	execl(shell, shell, (char *)NULL);
	return failure("cannot run %s: %s", shell, strerror(errno));
}

/* ---- wait ------------------------------------------------------------------------------------ */

static const struct option_spec wait_options[] = {
	{"timeout", 't', 't', "SEC", "give up after so long (30)"},
	{NULL, 0, 0, NULL, NULL},
};

static int wait_set(void *ctx, int value, const char *arg)
{
	struct wait *w = ctx;

	(void)value;
	return parse_seconds(arg, 1e6, &w->timeout_ns)
		       ? 0
		       : usage_error("--timeout %s: not a time in seconds", arg);
}

const struct verb_spec wait_spec = {
	.usage = "wait [OPTION]...",
	.about = "Waits until the stack is up and answers; for scripts.",
	.example = "  tapglass up -q & tapglass wait && tapglass ping -c 1 192.0.2.1\n",
	.options = wait_options,
	.name_option = true,
	.set = wait_set,
};

int wait_main(int argc, char **argv)
{
	static const struct timespec pause = {.tv_nsec = (long)WAIT_STEP_NS};
	struct wait w = {.timeout_ns = 30 * NS_PER_S};
	struct tg_host_error err;
	struct control_hello hello;
	uint64_t end;
	int first, fd, rc;

	options_default(&w.opt);
	rc = options_parse(argc, argv, &wait_spec, &w.opt, &w, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	end = tg_host_now() + w.timeout_ns;
	for (;;) {
		uint64_t now = tg_host_now();
		int left_ms = now < end ? (int)((end - now) / NS_PER_MS) + 1 : 0;

		fd = control_connect(w.opt.name, &err);
		if (fd >= 0 && control_ask_hello(fd, left_ms, &hello)) {
			return EXIT_OK;
		}
		/* Another user's stack is not waited for. */
		if (fd == -EPERM || now >= end) {
			break;
		}
		nanosleep(&pause, NULL);
	}
	if (fd < 0) {
		tg_host_print_error(&err);
		return EXIT_FAILED;
	}
	return failure("the running stack does not answer");
}
