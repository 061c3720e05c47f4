/* SYN cookies: see tcp_cookie.c. */
#ifndef TG_TCP_COOKIE_H
#define TG_TCP_COOKIE_H

#include "base/seq.h"
#include "base/siphash.h"
#include "ip/ip.h"

struct tcp_mini;
struct tcp_port;
struct tcp_rx;

struct tcp_cookies {
	struct sipkey base;   /* of the part that stays the same for a 4-tuple */
	struct sipkey master; /* what the keys of the generations are derived from */
	struct sipkey key[2]; /* of the generations that are alive */
	uint32_t generation[2];
};

void tcp_cookies_init(struct tg *s);
/* m, filled in from the SYN: its ISS becomes the cookie, and what will not be remembered is left
 * out. Notes on the port that cookies are about. */
void tcp_cookie_make(
	struct tg *s, struct tcp_port *port, const struct tcp_rx *r, struct tcp_mini *m);
/* now with the low bits replaced by what m has agreed; never later than now. */
uint32_t tcp_cookie_tsval(const struct tcp_mini *m, uint32_t now);
/* Were cookies sent from this port so recently that one may come back? */
bool tcp_cookie_expected(const struct tg *s, const struct tcp_port *port);
/* Is the segment's acknowledgment a cookie of ours, and fresh? m: what the SYN had said. */
bool tcp_cookie_read(struct tg *s, const struct tcp_rx *r, struct tcp_mini *m);

#endif
