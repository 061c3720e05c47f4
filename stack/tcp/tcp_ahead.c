/* Fetching ahead what segments will need that have been read but not input yet. With very many
 * connections nothing of one is in a cache when its segment comes, and what it takes lies behind
 * one another: a bucket, a record, what the record points at. One segment would wait for each of
 * these; of several, what all need next is asked for together, a step of each at a time.
 *
 * Reads alone, and nothing that a segment could have made wrong: it changes when tcp_input is done,
 * never what it does. */
#include "tcp/tcp_ahead.h"

#include "tcp/tcp.h"

#include "wire/patch.h"

/* What a lookup leaves to be fetched of a record comes in two parts: a connection at rest has only
 * the first. */
#define FIRST_BYTES offsetof(struct tcp_conn, tx_node)

/* Records farther behind in a chain are rare. */
#define CHAIN_STEPS 2u

static const struct tcp_conn *conn_of(const struct hnode *h)
{
	return container_of(h, struct tcp_conn, hash);
}

void tcp_ahead_timers(struct tcp_conn *const *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		prefetch(&c[i]->timer);
		prefetch(c[i]->deadline);
	}
	for (unsigned i = 0; i < n; i++)
		wheel_prefetch(&c[i]->timer.w);
}

void tcp_ahead_timer(const struct timer *t)
{
	const struct tcp_conn *c = container_of(t, struct tcp_conn, timer);

	prefetch_lines(c, sizeof(*c));
}

void tcp_ahead_user(const struct endpoint *e)
{
	prefetch_lines(e, sizeof(struct tcp_conn));
}

void tcp_ahead_find(
	const struct tg *s, const uint32_t *hash, const struct hnode **found, unsigned n)
{
	const struct htab *t = &s->tcp->conns;

	for (unsigned i = 0; i < n; i++)
		htab_prefetch(t, hash[i]);
	for (unsigned i = 0; i < n; i++) {
		found[i] = htab_chain(t, hash[i]);
		prefetch(found[i]);
	}
	for (unsigned step = 0; step < CHAIN_STEPS; step++) {
		for (unsigned i = 0; i < n; i++) {
			if (!found[i] || found[i]->hash == hash[i])
				continue;
			found[i] = found[i]->next;
			prefetch(found[i]);
		}
	}
}

/* What the record points at, and input changes. */
static void fetch_pointed_at(const struct tg *s, const struct tcp_conn *c)
{
	wheel_prefetch(&c->timer.w);
	handle_prefetch(s, &c->ep);
	if (c->resting)
		return;
	prefetch_lines((const uint8_t *)c + FIRST_BYTES, sizeof(*c) - FIRST_BYTES);
}

static void fetch_queues(const struct tcp_conn *c)
{
	if (c->resting)
		return;
	if (c->tx)
		prefetch_lines(c->tx, sizeof(*c->tx));
	prefetch(c->rcvq.tail);
}

void tcp_ahead(const struct tg *s, const uint32_t *hash, unsigned n)
{
	const struct hnode *h[TCP_AHEAD_MAX];
	unsigned k = 0;

	tcp_ahead_find(s, hash, h, n);
	for (unsigned i = 0; i < n; i++) {
		if (!h[i] || h[i]->hash != hash[i])
			continue;
		prefetch_lines(conn_of(h[i]), FIRST_BYTES);
		h[k++] = h[i];
	}
	for (unsigned i = 0; i < k; i++)
		fetch_pointed_at(s, conn_of(h[i]));
	for (unsigned i = 0; i < k; i++)
		fetch_queues(conn_of(h[i]));
}

uint32_t tcp_ahead_hash(const struct tg *s, const struct ip_info *i, const uint8_t *header)
{
	uint16_t lport, rport;

	ports_get(header, &rport, &lport);
	return tcp_tuple_hash(s, &i->dst, lport, &i->src, rport);
}
