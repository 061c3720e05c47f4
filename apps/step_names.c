/* Names of connections: c1, c2 and so on, l1 for listeners, in the order in which they are seen. A
 * name stays with its addresses at its end, also when the connection is gone or comes again -
 * unless there are so many that it is needed for another. */
#include <stdio.h>
#include <string.h>

#include "step.h"

static bool same_addr(const struct tg_addr *a, const struct tg_addr *b)
{
	return a->port == b->port && memcmp(&a->ip, &b->ip, sizeof a->ip) == 0;
}

static struct conn_name *find(const struct repl *r, unsigned end, const struct tg_tcb *t)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct conn_name *n = &r->name[i];

		if (n->peer.port == t->peer.port && n->end == end &&
			same_addr(&n->local, &t->local) && same_addr(&n->peer, &t->peer)) {
			return (struct conn_name *)n;
		}
	}
	return NULL;
}

const struct conn_name *name_of_tcb(const struct repl *r, unsigned end, const struct tg_tcb *t)
{
	return find(r, end, t);
}

/* A socket that was not used yet. */
static bool is_unused(const struct tg_tcb *t)
{
	return t->v[TG_TCB_STATE] == TG_CLOSED && t->peer.port == 0;
}

/* A place for one more, from *at on: a free one, or of one that was not seen this time. */
static struct conn_name *place(struct repl *r, unsigned *at)
{
	if (r->n_names < CONN_NAMES) {
		return &r->name[r->n_names++];
	}
	for (; *at < CONN_NAMES; ++*at) {
		if (r->name[*at].round != r->names_round) {
			return &r->name[*at];
		}
	}
	return NULL;
}

static void name_new(struct repl *r, unsigned end, const struct tg_tcb *t, unsigned *at)
{
	struct conn_name *n = place(r, at);

	if (n == NULL) {
		r->unnamed++;
		return;
	}
	*n = (struct conn_name){.end = (uint8_t)end,
		.local = t->local,
		.peer = t->peer,
		.listener = t->v[TG_TCB_STATE] == TG_LISTEN,
		.round = r->names_round,
		.sock = t->sock};
	if (n->listener) {
		snprintf(n->name, sizeof n->name, "l%u", ++r->n_listeners);
	} else {
		snprintf(n->name, sizeof n->name, "c%u", ++r->n_conns);
	}
}

/* Marks those that are there. How many have no name. */
static uint32_t names_mark(struct repl *r, unsigned end)
{
	const struct tg *s = tg_stepper_instance(r->w, end);
	uint64_t cursor = 0;
	uint32_t without = 0;
	struct tg_tcb t;

	while (s != NULL && tg_tcb_next(s, &cursor, &t)) {
		struct conn_name *n = find(r, end, &t);

		if (n == NULL) {
			without += !is_unused(&t);
			continue;
		}
		n->round = r->names_round;
		n->sock = t.sock ? t.sock : n->sock;
	}
	return without;
}

void names_update(struct repl *r)
{
	uint32_t without[2];
	unsigned at = 0;

	r->names_round++;
	r->unnamed = 0;
	without[0] = names_mark(r, 0);
	without[1] = names_mark(r, 1);
	for (unsigned end = 0; end < 2; end++) {
		const struct tg *s = tg_stepper_instance(r->w, end);
		uint64_t cursor = 0;
		struct tg_tcb t;

		while (without[end] > 0 && tg_tcb_next(s, &cursor, &t)) {
			if (!is_unused(&t) && find(r, end, &t) == NULL) {
				name_new(r, end, &t, &at);
				without[end]--;
			}
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
	for (unsigned i = 0; i < r->n_names && text == NULL && r->current[0] == '\0'; i++) {
		if (!r->name[i].listener) {
			snprintf(r->current, sizeof r->current, "%s", r->name[i].name);
		}
	}
	if (text == NULL && r->current[0] == '\0') {
		refuse(r, "there is no connection yet%s",
			r->world == WORLD_LAB ? ": \"connect\" opens one" : "");
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

const struct conn_name *name_of_trace(const struct repl *r, unsigned end, const struct tg_trace *t)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct conn_name *n = &r->name[i];

		if (n->end == end && n->local.port == t->lport && n->peer.port == t->rport &&
			memcmp(n->peer.ip.b, t->raddr, 16) == 0) {
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

/* What was once known is kept: a RST comes when the connection is gone. seen: what a SYN said,
 * NULL: what the ends know. */
static uint32_t isn_known(struct repl *r, const struct tg_addr *local, const struct tg_addr *peer,
	const uint32_t *seen)
{
	static struct {
		struct tg_addr local, peer;
		uint32_t isn;
	} kept[64];
	static unsigned n, at;
	uint32_t isn = seen != NULL ? *seen : 0;
	bool found = seen != NULL || isn_of(r, local, peer, &isn);

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
	*isn = isn_known(r, &p->src, &p->dst, p->flags & PACKET_SYN ? &p->seq : NULL);
	*peer_isn = isn_known(r, &p->dst, &p->src, NULL);
}
