/* Those who ask a running instance. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_wire.h"

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

static bool request_send(int fd, int argc, char **argv, bool with_stdio)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(3 * sizeof(int))];
	} control;
	static const int stdio[3] = {0, 1, 2};
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
	if (with_stdio) {
		memset(&control, 0, sizeof control);
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof stdio);
		memcpy(CMSG_DATA(&control.h), stdio, sizeof stdio);
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

/* Waits for the answer; NULL: there is none. */
static struct json_object *answer_receive(int fd, int timeout_ms)
{
	uint64_t end = tg_host_now() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
	struct json_object *o = NULL;
	uint8_t buf[2048];
	size_t have = 0;

	while (have < sizeof buf) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = tg_host_now();
		int wait = timeout_ms < 0 ? -1 : now < end ? (int)((end - now) / NS_PER_MS) + 1 : 0;
		int ready = poll(&p, 1, wait);
		ssize_t n;

		if (ready < 0 && errno == EINTR) {
			continue;
		}
		if (ready <= 0) {
			return NULL;
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

int control_run(int fd, int argc, char **argv)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct json_object *o;
	int rc;

	fflush(stdout);
	asking = fd;
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	if (!request_send(fd, argc, argv, true)) {
		close(fd);
		return failure("the running stack does not listen: %s", strerror(errno));
	}
	o = answer_receive(fd, -1);
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
	if (request_send(fd, 1, argv, false)) {
		o = answer_receive(fd, timeout_ms);
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
