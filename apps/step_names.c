/* Names of connections: c1, c2 and so on, l1 for listeners, in the order in which they are seen. A
 * name stays with its addresses at its end, also when the connection is gone or comes again. */
#include <stdio.h>
#include <string.h>

#include "step.h"

static bool same_addr(const struct tg_addr *a, const struct tg_addr *b)
{
	return a->port == b->port && memcmp(&a->ip, &b->ip, sizeof a->ip) == 0;
}

static struct conn_name *find(struct repl *r, unsigned end, const struct tg_tcb *t)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		struct conn_name *n = &r->name[i];

		if (n->end == end && same_addr(&n->local, &t->local) &&
			same_addr(&n->peer, &t->peer)) {
			return n;
		}
	}
	return NULL;
}

const struct conn_name *name_of_tcb(struct repl *r, unsigned end, const struct tg_tcb *t)
{
	struct conn_name *n = find(r, end, t);

	if (t->v[TG_TCB_STATE] == TG_CLOSED && t->peer.port == 0) {
		return NULL; /* a socket that was not used yet */
	}
	if (n == NULL && r->n_names < CONN_NAMES) {
		n = &r->name[r->n_names++];
		n->end = (uint8_t)end;
		n->local = t->local;
		n->peer = t->peer;
		n->listener = t->v[TG_TCB_STATE] == TG_LISTEN;
		if (n->listener) {
			snprintf(n->name, sizeof n->name, "l%u", ++r->n_listeners);
		} else {
			snprintf(n->name, sizeof n->name, "c%u", ++r->n_conns);
		}
	}
	if (n != NULL && t->sock != 0) {
		n->sock = t->sock;
	}
	return n;
}

void names_update(struct repl *r)
{
	for (unsigned end = 0; end < 2; end++) {
		const struct tg *s = tg_stepper_instance(r->w, end);
		uint64_t cursor = 0;
		struct tg_tcb t;

		while (s != NULL && tg_tcb_next(s, &cursor, &t)) {
			name_of_tcb(r, end, &t);
		}
	}
}

const struct conn_name *name_find(const struct repl *r, const char *name)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		if (strcmp(r->name[i].name, name) == 0) {
			return &r->name[i];
		}
	}
	return NULL;
}

bool tcb_of_name(const struct repl *r, const struct conn_name *n, struct tg_tcb *out)
{
	const struct tg *s = tg_stepper_instance(r->w, n->end);
	uint64_t cursor = 0;

	while (s != NULL && tg_tcb_next(s, &cursor, out)) {
		if (same_addr(&n->local, &out->local) && same_addr(&n->peer, &out->peer)) {
			return true;
		}
	}
	return false;
}

const struct conn_name *name_of_serial(struct repl *r, unsigned end, uint32_t serial)
{
	const struct tg *s = tg_stepper_instance(r->w, end);
	uint64_t cursor = 0;
	struct tg_tcb t;

	while (s != NULL && serial != 0 && tg_tcb_next(s, &cursor, &t)) {
		if (t.conn == serial) {
			return name_of_tcb(r, end, &t);
		}
	}
	return NULL;
}

const struct conn_name *name_wanted(struct repl *r, const char *text)
{
	const struct conn_name *n;

	names_update(r);
	if (text == NULL && r->current[0] == '\0') {
		refuse(r, r->n_names ? "which connection? \"info conns\" lists them"
				     : "there is no connection yet: \"connect\" opens one");
		return NULL;
	}
	n = name_find(r, text != NULL ? text : r->current);
	if (n == NULL) {
		refuse(r, "there is no connection \"%s\": \"info conns\" lists them",
			text != NULL ? text : r->current);
		return NULL;
	}
	snprintf(r->current, sizeof r->current, "%s", n->name);
	return n;
}

const struct conn_name *name_of_packet(struct repl *r, unsigned end, const struct packet *p)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct conn_name *n = &r->name[i];

		if (n->end == end && same_addr(&n->local, &p->dst) &&
			same_addr(&n->peer, &p->src)) {
			return n;
		}
	}
	return NULL;
}

/* The initial number that `local` uses towards `peer`, by what either end knows of it. */
static bool isn_of(
	struct repl *r, const struct tg_addr *local, const struct tg_addr *peer, uint32_t *isn)
{
	for (unsigned end = 0; end < 2; end++) {
		const struct tg *s = tg_stepper_instance(r->w, end);
		uint64_t cursor = 0;
		struct tg_tcb t;

		while (s != NULL && tg_tcb_next(s, &cursor, &t)) {
			if (same_addr(&t.local, local) && same_addr(&t.peer, peer) &&
				t.v[TG_TCB_ISS] != 0) {
				*isn = (uint32_t)t.v[TG_TCB_ISS];
				return true;
			}
			if (same_addr(&t.local, peer) && same_addr(&t.peer, local) &&
				t.v[TG_TCB_IRS] != 0) {
				*isn = (uint32_t)t.v[TG_TCB_IRS];
				return true;
			}
		}
	}
	return false;
}

/* What was once known is kept: a RST comes when the connection is gone. */
static uint32_t isn_known(struct repl *r, const struct tg_addr *local, const struct tg_addr *peer)
{
	static struct {
		struct tg_addr local, peer;
		uint32_t isn;
	} kept[64];
	static unsigned n, at;
	uint32_t isn = 0;
	bool found = isn_of(r, local, peer, &isn);

	for (unsigned i = 0; i < n; i++) {
		if (same_addr(&kept[i].local, local) && same_addr(&kept[i].peer, peer)) {
			kept[i].isn = found ? isn : kept[i].isn;
			return kept[i].isn;
		}
	}
	if (found) {
		kept[at].local = *local;
		kept[at].peer = *peer;
		kept[at].isn = isn;
		at = (at + 1) % 64;
		n = n < 64 ? n + 1 : n;
	}
	return isn;
}

void packet_isns(struct repl *r, const struct packet *p, uint32_t *isn, uint32_t *peer_isn)
{
	*isn = p->flags & PACKET_SYN ? p->seq : isn_known(r, &p->src, &p->dst);
	*peer_isn = isn_known(r, &p->dst, &p->src);
}
