/* `tapglass doctor`: which rungs of the ladder of --link auto carry here, by trying: each in a
 * child process, those that touch the network in a namespace of its own, so that nothing is left of
 * it. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "verbs.h"

#define TUN_NODE "/dev/net/tun"

/* What a rung came to: passed from child to parent. */
struct finding {
	bool works;
	struct tg_host_error err;
	char note[120];
};

static const struct option_spec doctor_options[] = {
	{NULL, 0, 0, NULL, NULL},
};

static int doctor_set(void *ctx, int value, const char *arg)
{
	(void)ctx;
	(void)value;
	(void)arg;
	return 0;
}

const struct verb_spec doctor_spec = {
	.usage = "doctor [OPTION]...",
	.about = "Tries every link that tapglass up can use, changes nothing, and says which work, "
		 "and "
		 "why others do not.",
	.example = "  tapglass doctor\n",
	.options = doctor_options,
	.name_option = true,
	.set = doctor_set,
};

/* ---- Rungs ----------------------------------------------------------------------------------- */

/* Attaching to somebody's TAP would show: it is looked at instead. */
static void try_own(struct finding *f)
{
	struct tg_tap_info info;
	int fd;

	if (!tg_host_tap_info("tg0", &info) || !info.is_tap || info.owner != (int64_t)geteuid()) {
		f->err = (struct tg_host_error){.errnum = ENODEV};
		snprintf(f->err.what, sizeof f->err.what, "no TAP tg0 of yours");
		snprintf(f->err.fix, sizeof f->err.fix, "sudo tapglass setup");
		return;
	}
	fd = open(TUN_NODE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		f->err = (struct tg_host_error){.errnum = errno};
		snprintf(f->err.what, sizeof f->err.what, "cannot open " TUN_NODE);
		return;
	}
	close(fd);
	f->works = true;
	if (info.queues > 0) {
		snprintf(f->note, sizeof f->note, "in use now");
	}
}

/* With the privilege to make one here, in a namespace of which nobody knows. */
static void try_here(const struct options *o, struct finding *f)
{
	f->works = unshare(CLONE_NEWNET) == 0 && link_try(RUNG_TAP, o, &f->err) == 0;
	if (!f->works && f->err.what[0] == '\0') {
		link_try(RUNG_TAP, o,
			&f->err); /* refused for want of the privilege, before anything is made */
	}
}

static void try_rung(enum link_rung r, const struct options *o, struct finding *f)
{
	memset(f, 0, sizeof *f);
	switch (r) {
	case RUNG_OWN: try_own(f); break;
	case RUNG_TAP: try_here(o, f); break;
	case RUNG_PRIVATE:
	case RUNG_VETH:
	case RUNG_SIM:
	case RUNG_COUNT: f->works = link_try(r, o, &f->err) == 0; break;
	}
}

static void try_in_child(enum link_rung r, const struct options *o, struct finding *f)
{
	int fds[2];
	pid_t child;
	ssize_t n = -1;

	memset(f, 0, sizeof *f);
	snprintf(f->err.what, sizeof f->err.what, "the trial itself failed");
	if (pipe2(fds, O_CLOEXEC) < 0) {
		return;
	}
	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct finding mine;

		try_rung(r, o, &mine);
		_exit(write(fds[1], &mine, sizeof mine) == (ssize_t)sizeof mine ? 0 : 1);
	}
	close(fds[1]);
	if (child > 0) {
		struct finding theirs;

		n = read(fds[0], &theirs, sizeof theirs);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
		}
		if (n == (ssize_t)sizeof theirs) {
			*f = theirs;
		}
	}
	close(fds[0]);
}

static void finding_print(enum link_rung r, const struct finding *f)
{
	printf("  %s %-46s%s%s\n", f->works ? "✓" : "✗", link_rung_text(r),
		f->note[0] != '\0' ? "  " : "", f->note);
	if (f->works) {
		return;
	}
	printf("      %s%s%s\n", f->err.what, f->err.why[0] != '\0' ? ": " : "", f->err.why);
	if (f->err.fix[0] != '\0') {
		printf("      fix: %s\n", f->err.fix);
	}
}

/* ---- What else is to be known ---------------------------------------------------------------- */

static void running_print(const char *name)
{
	struct tg_host_error err;
	struct control_hello hello;
	int fd = control_connect(name, &err);

	if (fd >= 0 && control_ask_hello(fd, 2000, &hello)) {
		printf("  running   \"%s\": pid %d, stack %s, link %s\n", name, hello.pid,
			hello.stack, hello.link);
	} else {
		printf("  running   %s\n", fd < 0 ? err.what : "something that does not answer");
	}
}

static void relay_print(void)
{
	struct tg_host_error err;
	uint16_t port;
	int fd = tg_host_listen_local(8080, 20, &port, &err);

	if (fd < 0) {
		printf("  relay     no port from 8080 to 8099 is free on 127.0.0.1\n");
		return;
	}
	close(fd);
	printf("  relay     http://127.0.0.1:%u/%s%s\n", (unsigned)port,
		err.errnum != 0 ? ", as " : "", err.errnum != 0 ? err.what : "");
}

int doctor_main(int argc, char **argv)
{
	struct options o;
	struct finding f;
	int first, rc, best = -1;

	options_default(&o);
	o.quiet = true;
	rc = options_parse(argc, argv, &doctor_spec, &o, NULL, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	puts("tapglass " TAPGLASS_VERSION ": links, in the order in which --link auto tries them");
	for (int r = RUNG_OWN; r < RUNG_COUNT; r++) {
		try_in_child((enum link_rung)r, &o, &f);
		finding_print((enum link_rung)r, &f);
		best = best < 0 && f.works ? r : best;
	}
	putchar('\n');
	printf("  up        %s\n",
		best < 0 ? "cannot run here" : link_rung_text((enum link_rung)best));
	running_print(o.name);
	relay_print();
	if (access("/proc/sys/net/ipv6", F_OK) != 0) {
		puts("  note      this kernel has no IPv6; the stack speaks IPv4 and needs none");
	}
	return best < 0 ? EXIT_ENVIRONMENT : EXIT_OK;
}
