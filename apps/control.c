/* The running instance's end of the control socket: requests, and the jobs that come of them.
 * Bounded in clients, in the bytes of a request and in the time that one may take to arrive; only
 * the user who started the instance is listened to. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_wire.h"
#include "job.h"

#define REQUEST_PATIENCE_NS (5 * NS_PER_S)
#define RETRY_NS            (100 * NS_PER_MS)
#define ARGS_MAX            64u
#define STDIO_FDS           3u

struct client {
	struct client *next;
	struct control *control;
	int fd;
	uint64_t since_ns;
	bool ended;   /* sends no more */
	bool closing; /* to be freed after this round */
	struct job_io io;
	struct json_object *request; /* argv points into it */
	char *argv[ARGS_MAX + 1];
	bool working;
	struct job job;
	size_t have_bytes;
	uint8_t buf[CONTROL_HDR_BYTES + CONTROL_REQUEST_MAX];
};

struct control {
	int fd;
	const struct link *link;
	const char *url;
	struct client *clients;
	unsigned n_clients;
	bool listening;
	uint64_t retry_ns;
};

/* ---- Answers --------------------------------------------------------------------------------- */

static void answer(struct client *c, struct json_object *o)
{
	uint8_t buf[1024];
	size_t n;

	json_object_object_add(o, "v", json_object_new_int(CONTROL_VERSION));
	n = control_pack(o, buf, sizeof buf);
	/* It is small and the first that is sent: it fits. If nobody is there any more, then nobody
	 * needs it. */
	send(c->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	json_object_put(o);
	c->closing = true;
}

static void answer_exit(struct client *c, int status)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "exit", json_object_new_int(status));
	answer(c, o);
}

static void answer_error(struct client *c, const char *error)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "exit", json_object_new_int(EXIT_FAILED));
	json_object_object_add(o, "error", json_object_new_string(error));
	answer(c, o);
}

static void answer_hello(struct client *c)
{
	static const char where[][8] = {"here", "private", "sim"};
	const struct control *k = c->control;
	struct json_object *o = json_object_new_object();
	char ip[16];

	json_object_object_add(o, "exit", json_object_new_int(EXIT_OK));
	json_object_object_add(o, "version", json_object_new_string(TAPGLASS_VERSION));
	json_object_object_add(o, "link", json_object_new_string(where[k->link->where]));
	json_object_object_add(o, "interface", json_object_new_string(k->link->name));
	json_object_object_add(
		o, "stack", json_object_new_string(tg_ip_format(&k->link->stack_ip, ip)));
	json_object_object_add(
		o, "host", json_object_new_string(tg_ip_format(&k->link->host_ip, ip)));
	if (k->url != NULL) {
		json_object_object_add(o, "url", json_object_new_string(k->url));
	}
	answer(c, o);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* The words of the request; their number, 0: not a request. */
static int request_args(struct client *c)
{
	struct json_object *list, *word;
	size_t n;

	if (!json_object_object_get_ex(c->request, "argv", &list) ||
		!json_object_is_type(list, json_type_array)) {
		return 0;
	}
	n = json_object_array_length(list);
	if (n > ARGS_MAX) {
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		union {
			const char *c;
			char *p;
		} text; /* getopt only moves the pointers around */

		word = json_object_array_get_idx(list, i);
		if (!json_object_is_type(word, json_type_string)) {
			return 0;
		}
		text.c = json_object_get_string(word);
		c->argv[i] = text.p;
	}
	c->argv[n] = NULL;
	return (int)n;
}

static void request_run(struct client *c)
{
	const struct job_verb *v;
	int argc = request_args(c);

	if (control_int(c->request, "v", 0) != CONTROL_VERSION) {
		answer_error(c, "the running stack is of another version (" TAPGLASS_VERSION ")");
		return;
	}
	if (argc == 0) {
		answer_error(c, "the request was not understood");
		return;
	}
	if (strcmp(c->argv[0], "hello") == 0) {
		answer_hello(c);
		return;
	}
	v = job_verb_find(c->argv[0]);
	if (v == NULL || c->io.n_fds < STDIO_FDS) {
		answer_error(c, v == NULL ? "the running stack has no such verb"
					  : "no descriptors came with the request");
		return;
	}
	job_open(&c->job, v, c->control->link, &c->io, argc, c->argv);
	c->working = true;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static void client_free(struct client *c)
{
	struct control *k = c->control;
	struct client **at = &k->clients;

	tg_host_watch(k->link->host, c->fd, 0, NULL, NULL);
	if (c->working) {
		job_close(&c->job);
	}
	for (unsigned i = 0; i < c->io.n_fds; i++) {
		close(c->io.fd[i]);
	}
	json_object_put(c->request);
	close(c->fd);
	while (*at != c) {
		at = &(*at)->next;
	}
	*at = c->next;
	k->n_clients--;
	free(c);
}

static void take_descriptors(struct client *c, struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
			if (c->io.n_fds < JOB_FDS_MAX) {
				c->io.fd[c->io.n_fds++] = fd;
			} else {
				close(fd);
			}
		}
	}
}

/* Bytes of the request, 0 at the end, negative if there are none now. */
static ssize_t client_receive(struct client *c)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(JOB_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {c->buf + c->have_bytes, sizeof c->buf - c->have_bytes};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	m.msg_control = &control;
	m.msg_controllen = sizeof control;
	n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n > 0) {
		take_descriptors(c, &m);
	}
	return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

static void on_request(void *arg, int fd, short revents)
{
	struct client *c = arg;
	ssize_t n = c->closing ? -1 : client_receive(c);
	int rc;

	(void)revents;
	if (n == 0) { /* Ctrl-C over there, or it has gone */
		tg_host_watch(c->control->link->host, fd, 0, NULL, NULL);
		c->ended = true;
		if (c->working) {
			job_stop(&c->job);
		} else {
			c->closing = true;
		}
	}
	if (n <= 0) {
		return;
	}
	if (c->request != NULL) {
		return; /* more than one is not answered */
	}
	c->have_bytes += (size_t)n;
	rc = control_unpack(c->buf, c->have_bytes, &c->request);
	if (rc < 0) {
		answer_error(c, "the request was not understood");
	} else if (rc > 0) {
		c->have_bytes = 0;
		request_run(c);
	}
}

/* Is the other end the user that we are? */
static bool peer_is_us(int fd)
{
	struct ucred u;
	socklen_t n = sizeof u;

	/* In a user namespace of our own both are 0, and everybody else is the overflow id. */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) == 0 && u.uid == geteuid();
}

static void on_accept(void *arg, int fd, short revents)
{
	struct control *k = arg;
	struct client *c;
	int one;

	(void)revents;
	while (k->n_clients < CONTROL_CLIENTS_MAX) {
		one = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (one < 0) {
			k->retry_ns = errno == EAGAIN ? 0 : tg_host_now() + RETRY_NS;
			return;
		}
		c = calloc(1, sizeof *c);
		if (c == NULL) {
			close(one);
			return;
		}
		c->control = k;
		c->fd = one;
		c->since_ns = tg_host_now();
		c->next = k->clients;
		k->clients = c;
		k->n_clients++;
		if (!peer_is_us(one)) {
			answer_error(c, "other user");
		} else if (tg_host_watch(k->link->host, one, POLLIN, on_request, c) < 0) {
			c->closing = true;
		}
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

static uint64_t client_round(struct client *c, uint64_t now_ns)
{
	if (!c->working) {
		c->closing = c->closing || now_ns >= c->since_ns + REQUEST_PATIENCE_NS;
		return c->since_ns + REQUEST_PATIENCE_NS;
	}
	uint64_t due = job_round(&c->job, now_ns);

	if (job_over(&c->job) && !c->closing) {
		answer_exit(c, c->job.status);
	}
	return due;
}

uint64_t control_round(struct control *k, uint64_t now_ns)
{
	uint64_t due = UINT64_MAX;
	bool wants;

	if (k == NULL) {
		return UINT64_MAX;
	}
	for (struct client *c = k->clients, *next; c != NULL; c = next) {
		uint64_t t = client_round(c, now_ns);

		next = c->next;
		due = t < due ? t : due;
		if (c->closing) {
			client_free(c);
		}
	}
	wants = k->n_clients < CONTROL_CLIENTS_MAX && now_ns >= k->retry_ns;
	if (wants != k->listening) {
		tg_host_watch(k->link->host, k->fd, wants ? POLLIN : 0, on_accept, k);
		k->listening = wants;
	}
	return now_ns < k->retry_ns && k->retry_ns < due ? k->retry_ns : due;
}

struct control *control_start(int fd, const struct link *l, const char *url)
{
	struct control *k = calloc(1, sizeof *k);

	if (k != NULL) {
		k->fd = fd;
		k->link = l;
		k->url = url;
		control_round(k, tg_host_now());
	}
	return k;
}

void control_free(struct control *k)
{
	while (k != NULL && k->clients != NULL) {
		struct client *c = k->clients;

		if (c->working) {
			job_stop(&c->job); /* what it still has to say is tried once */
			job_round(&c->job, tg_host_now());
			if (job_over(&c->job) && !c->closing) {
				answer_exit(c, c->job.status);
			}
		}
		client_free(c);
	}
	if (k != NULL && k->listening) {
		tg_host_watch(k->link->host, k->fd, 0, NULL, NULL);
	}
	free(k);
}
