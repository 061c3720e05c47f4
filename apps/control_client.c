/* Those who ask a running instance. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_wire.h"
#include "job.h"

#define UNIX_TABLE "/proc/net/unix"

/* ---- Connecting ------------------------------------------------------------------------------ */

static int fail_connect(const char *name, int errnum, struct tg_host_error *err)
{
	unsigned uid;

	memset(err, 0, sizeof *err);
	if (control_other_owner(UNIX_TABLE, name, (unsigned)geteuid(), &uid)) {
		control_error_other(uid, err);
		return -EPERM;
	}
	err->errnum = errnum;
	if (errnum == ENOENT || errnum == ECONNREFUSED) {
		err->errnum = ENOENT;
		snprintf(err->what, sizeof err->what, "no stack named \"%s\" is running", name);
		snprintf(err->why, sizeof err->why, "nobody answers at its control socket");
		snprintf(err->fix, sizeof err->fix, "tapglass up%s%s",
			strcmp(name, "default") == 0 ? "" : " --name ",
			strcmp(name, "default") == 0 ? "" : name);
	} else {
		snprintf(err->what, sizeof err->what, "cannot reach the stack named \"%s\"", name);
		snprintf(err->why, sizeof err->why, "%s", strerror(errnum));
	}
	return -err->errnum;
}

int control_connect(const char *name, struct tg_host_error *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char path[CONTROL_PATH_BYTES];
	int fd, saved;

	if (!control_path(name, path)) {
		return fail_connect(name, ENAMETOOLONG, err);
	}
	memcpy(a.sun_path, path, sizeof path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
		saved = errno;
		if (fd >= 0) {
			close(fd);
		}
		return fail_connect(name, saved, err);
	}
	return fd;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static int asking = -1;

static void on_signal(int number)
{
	(void)number;
	shutdown(asking, SHUT_WR); /* the verb is asked to end; a second signal ends us */
}

static bool request_send(int fd, int argc, char **argv, const struct job_io *io)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(JOB_FDS_MAX * sizeof(int))];
	} control;
	struct json_object *o = json_object_new_object(), *words = json_object_new_array();
	uint8_t *buf = malloc(CONTROL_HDR_BYTES + CONTROL_REQUEST_MAX);
	struct iovec iov = {.iov_base = buf};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t done = -1;

	for (int i = 0; i < argc; i++) {
		json_object_array_add(words, json_object_new_string(argv[i]));
	}
	json_object_object_add(o, "v", json_object_new_int(CONTROL_VERSION));
	json_object_object_add(o, "argv", words);
	if (buf != NULL) {
		iov.iov_len = control_pack(o, buf, CONTROL_HDR_BYTES + CONTROL_REQUEST_MAX);
	}
	json_object_put(o);
	if (io != NULL) {
		size_t bytes = io->n_fds * sizeof io->fd[0];

		memset(&control, 0, sizeof control);
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(bytes);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&control.h), io->fd, bytes);
	}
	while (iov.iov_len > 0) {
		done = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (done < 0 && errno != EINTR) {
			break;
		}
		if (done > 0) { /* the descriptors went with the first bytes */
			m.msg_control = NULL;
			m.msg_controllen = 0;
			iov.iov_base = (uint8_t *)iov.iov_base + done;
			iov.iov_len -= (size_t)done;
		}
	}
	free(buf);
	return done > 0;
}

/* A terminal's input goes through us: it may be read by its foreground processes alone, and the
 * instance need not be among them. */
struct typed {
	int from, to; /* from -1: nothing to pass on */
};

static void typed_open(struct typed *t, struct job_io *io)
{
	int ends[2];

	t->from = t->to = -1;
	if (io->takes_input && isatty(io->fd[0]) == 1 && pipe2(ends, O_CLOEXEC) == 0) {
		t->from = io->fd[0];
		t->to = ends[1];
		io->fd[0] = ends[0];
	}
}

static void typed_close(struct typed *t)
{
	if (t->to >= 0) {
		close(t->to);
	}
	t->from = t->to = -1;
}

static void typed_pass(struct typed *t)
{
	char buf[4096];
	ssize_t n = read(t->from, buf, sizeof buf);

	if (n < 0 && errno == EINTR) {
		return;
	}
	/* writing may wait; it ends when the verb does */
	if (n <= 0 || write(t->to, buf, (size_t)n) != n) {
		typed_close(t);
	}
}

/* Waits for the answer; NULL: there is none. t may be NULL. */
static struct json_object *answer_receive(int fd, int timeout_ms, struct typed *t)
{
	uint64_t end = tg_host_now() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
	struct json_object *o = NULL;
	uint8_t buf[2048];
	size_t have = 0;

	while (have < sizeof buf) {
		struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
			{.fd = t != NULL ? t->from : -1, .events = POLLIN}};
		uint64_t now = tg_host_now();
		int wait = timeout_ms < 0 ? -1 : now < end ? (int)((end - now) / NS_PER_MS) + 1 : 0;
		int ready = poll(p, 2, wait);
		ssize_t n;

		if (ready < 0 && errno == EINTR) {
			continue;
		}
		if (ready <= 0) {
			return NULL;
		}
		if (p[1].revents != 0) {
			typed_pass(t);
		}
		if (p[0].revents == 0) {
			continue;
		}
		n = read(fd, buf + have, sizeof buf - have);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return NULL;
		}
		have += (size_t)n;
		if (control_unpack(buf, have, &o) != 0) {
			return o;
		}
	}
	return NULL;
}

/* What the answer says, said. */
static int answer_status(int fd, struct json_object *o)
{
	const char *error = control_text(o, "error");
	int64_t status = control_int(o, "exit", EXIT_FAILED);
	struct tg_host_error err;
	struct ucred u;
	socklen_t n = sizeof u;

	if (strcmp(error, "other user") == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) == 0) {
		control_error_other((unsigned)u.uid, &err);
		tg_host_print_error(&err);
	} else if (error[0] != '\0') {
		say("%s", error);
	}
	return status >= 0 && status <= 255 ? (int)status : EXIT_FAILED;
}

int control_run(int fd, const struct job_io *io, int argc, char **argv)
{
	struct job_io mine = {.fd = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, .n_fds = 3};
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct json_object *o;
	struct typed typed;
	bool asked;
	int rc;

	mine = io != NULL ? *io : mine;
	fflush(stdout);
	typed_open(&typed, &mine);
	signal(SIGPIPE, SIG_IGN);
	asking = fd;
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	asked = request_send(fd, argc, argv, &mine);
	if (typed.from >= 0) {
		close(mine.fd[0]); /* theirs now */
	}
	if (!asked) {
		typed_close(&typed);
		close(fd);
		return failure("the running stack does not listen: %s", strerror(errno));
	}
	o = answer_receive(fd, -1, &typed);
	typed_close(&typed);
	rc = o != NULL ? answer_status(fd, o) : failure("the running stack has gone");
	json_object_put(o);
	close(fd);
	return rc;
}

bool control_ask_hello(int fd, int timeout_ms, struct control_hello *out)
{
	char hello[] = "hello";
	char *argv[] = {hello, NULL};
	struct json_object *o = NULL;
	struct ucred u = {0};
	socklen_t n = sizeof u;
	bool ok;

	memset(out, 0, sizeof *out);
	if (request_send(fd, 1, argv, NULL)) {
		o = answer_receive(fd, timeout_ms, NULL);
	}
	ok = o != NULL && answer_status(fd, o) == EXIT_OK &&
	     getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) == 0;
	if (ok) {
		out->pid = (int)u.pid;
		snprintf(out->link, sizeof out->link, "%s", control_text(o, "link"));
		snprintf(out->stack, sizeof out->stack, "%s", control_text(o, "stack"));
		snprintf(out->host, sizeof out->host, "%s", control_text(o, "host"));
	}
	json_object_put(o);
	close(fd);
	return ok;
}
