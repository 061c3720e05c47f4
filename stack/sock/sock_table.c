/* The table of sockets, and the trace of the user's calls, which names sockets by the same rows. */
#include "sock/sock_impl.h"

/* Cursors: the handle's index to go on from, then, with this bit set, the transport's own. */
#define CURSOR_TCP (1ull << 63)

void sock_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *out)
{
	memset(out, 0, sizeof(*out));
	switch ((enum tg_type)e->type) {
	case TG_STREAM: tcp_user_row(s, e, out); break;
	case TG_DGRAM: udp_row(s, e, out); break;
	case TG_RAW: raw_row(s, e, out); break;
	}
}

bool tg_table_socks(const struct tg *s, uint64_t *cursor, struct tg_sock_row *out)
{
	bool found;

	if (!(*cursor & CURSOR_TCP)) {
		const struct endpoint *e = handle_next(s, (uint32_t)*cursor);

		if (e) {
			*cursor = (uint64_t)e->index + 1;
			sock_row(s, e, out);
			return true;
		}
		*cursor = CURSOR_TCP;
	}
	*cursor &= ~CURSOR_TCP;
	memset(out, 0, sizeof(*out));
	found = tcp_user_table(s, cursor, out);
	*cursor |= CURSOR_TCP;
	return found;
}

/* Which socket it is. Every call of the user comes by: a stream's row would cost it more than the
 * rest of the record. */
static void trace_name(const struct tg *s, const struct endpoint *e, struct tg_trace *t)
{
	struct tg_sock_row row;

	if (e->type == TG_STREAM) {
		tcp_user_trace(e, t);
		return;
	}
	sock_row(s, e, &row);
	t->conn = row.conn;
	t->lport = row.local.port;
	t->rport = row.peer.port;
	memcpy(t->raddr, row.peer.ip.b, sizeof(t->raddr));
}

void sock_trace(struct tg *s, const struct endpoint *e, enum tg_call call, int64_t result)
{
	struct tg_trace *t;

	if (result == -TG_EAGAIN)
		return;
	t = trace_add(s, TG_TRACE_CALL);
	if (!t)
		return;
	trace_name(s, e, t);
	t->a = (uint8_t)call;
	t->b = e->type;
	if (result > INT32_MAX)
		result = INT32_MAX;
	t->aux = (uint32_t)(int32_t)result;
	t->len = result > 0 ? (uint32_t)result : 0;
}
