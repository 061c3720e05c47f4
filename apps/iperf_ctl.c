/* The control connection of an iperf3 test: single octets, and JSON behind its length. What is read
 * is bounded, and memory for it grows with what has come, not with what was announced. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>

#include "iperf.h"

#define JSON_ROOM     4096u
#define DISCARD_TRIES 16u

bool iperf_ctl_send(struct iperf_ctl *c, const void *data, size_t n, uint64_t now_ns)
{
	char *more;

	if (c->out_at == c->out_bytes) {
		c->out_at = c->out_bytes = 0;
	}
	if (n > c->out_room - c->out_bytes) {
		more = realloc(c->out, c->out_bytes + n);
		if (more == NULL) {
			return false;
		}
		c->out = more;
		c->out_room = c->out_bytes + n;
	}
	memcpy(c->out + c->out_bytes, data, n);
	c->out_bytes += n;
	iperf_ctl_flush(c, now_ns); /* an error shows again when it is read */
	return true;
}

bool iperf_ctl_state(struct iperf_ctl *c, enum iperf_state state, uint64_t now_ns)
{
	uint8_t octet = (uint8_t)state;

	return iperf_ctl_send(c, &octet, 1, now_ns);
}

bool iperf_ctl_send_json(struct iperf_ctl *c, const char *text, uint64_t now_ns)
{
	size_t n = strlen(text);
	uint8_t len[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	return iperf_ctl_send(c, len, sizeof len, now_ns) && iperf_ctl_send(c, text, n, now_ns);
}

int iperf_ctl_flush(struct iperf_ctl *c, uint64_t now_ns)
{
	int64_t n;

	while (c->out_at < c->out_bytes && c->conn.sock != 0) {
		n = tg_sock_send(c->s, c->conn.sock, c->out + c->out_at, c->out_bytes - c->out_at,
			0, now_ns);
		if (n < 0) {
			return n == -TG_EAGAIN || n == -TG_ENOMEM ? 0 : (int)n;
		}
		c->out_at += (size_t)n;
	}
	return 0;
}

int iperf_ctl_read(struct iperf_ctl *c, uint32_t n, uint64_t now_ns)
{
	int64_t k;

	while (c->head_bytes < n) {
		k = tg_sock_recv(
			c->s, c->conn.sock, c->head + c->head_bytes, n - c->head_bytes, 0, now_ns);
		if (k <= 0) {
			return (int)k;
		}
		c->head_bytes += (uint32_t)k;
	}
	c->head_bytes = 0;
	return 1;
}

static bool json_grow(struct iperf_ctl *c)
{
	uint32_t room = c->json_room == 0 ? JSON_ROOM : c->json_room * 2;
	char *more = realloc(c->json, room);

	if (more == NULL) {
		return false;
	}
	c->json = more;
	c->json_room = room;
	return true;
}

/* The length: as iperf_ctl_read. */
static int json_begin(struct iperf_ctl *c, uint32_t max, uint64_t now_ns)
{
	int rc = iperf_ctl_read(c, 4, now_ns);

	if (rc == 1) {
		c->json_want = (uint32_t)c->head[0] << 24 | (uint32_t)c->head[1] << 16 |
			       (uint32_t)c->head[2] << 8 | c->head[3];
		c->json_bytes = 0;
		if (c->json_want == 0 || c->json_want > max) {
			c->json_want = 0;
			return -TG_EMSGSIZE;
		}
	}
	return rc;
}

int iperf_ctl_read_json(struct iperf_ctl *c, uint32_t max, uint64_t now_ns)
{
	int64_t n;
	uint32_t room;
	int rc;

	if (c->json_want == 0) {
		rc = json_begin(c, max, now_ns);
		if (rc != 1) {
			return rc;
		}
	}
	while (c->json_bytes < c->json_want) {
		if (c->json_bytes == c->json_room && !json_grow(c)) {
			return -TG_ENOMEM;
		}
		room = c->json_room - c->json_bytes;
		room = room < c->json_want - c->json_bytes ? room : c->json_want - c->json_bytes;
		n = tg_sock_recv(c->s, c->conn.sock, c->json + c->json_bytes, room, 0, now_ns);
		if (n <= 0) {
			return (int)n;
		}
		c->json_bytes += (uint32_t)n;
	}
	c->json_want = 0;
	return 1;
}

/* What was not read would make the close a reset, and lose what was sent last. */
static void discard(struct iperf_ctl *c, uint64_t now_ns)
{
	int64_t n;

	for (unsigned i = 0; i < DISCARD_TRIES && (n = svc_readable(c->s, c->conn.sock)) > 0; i++) {
		tg_sock_consume(c->s, c->conn.sock, (size_t)n, now_ns);
	}
}

void iperf_ctl_close(struct iperf_ctl *c, uint64_t now_ns)
{
	if (c->conn.sock != 0) {
		iperf_ctl_flush(c, now_ns);
		discard(c, now_ns);
		tg_sock_close(c->s, c->conn.sock, now_ns);
	}
	c->conn.sock = 0;
	free(c->out);
	free(c->json);
	c->out = c->json = NULL;
	c->out_at = c->out_bytes = c->out_room = 0;
	c->json_room = c->json_bytes = c->json_want = c->head_bytes = 0;
}
