/* Raw sockets: a copy of every datagram of one IP protocol (for ICMP: those that the stack does not
 * answer itself), network header included on reading, added on writing. Same shape as udp.h. */
#ifndef TG_RAW_H
#define TG_RAW_H

#include "ip/ip.h"

/* Hangs raw_input into s->raw_input. 0 or -TG_ENOMEM. */
int raw_init(struct tg *s);
/* proto: 1 to 254. NULL: no memory. */
struct endpoint *raw_open(struct tg *s, uint8_t proto, uint64_t cookie);
int raw_bind(struct tg *s, struct endpoint *e, const struct tg_addr *a);
int raw_connect(struct tg *s, struct endpoint *e, const struct tg_addr *peer);
int64_t raw_sendto(struct tg *s, struct endpoint *e, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to);
int64_t raw_recvfrom(struct tg *s, struct endpoint *e, void *data, size_t n, unsigned flags,
	struct tg_dgram *from);
int raw_shutdown(struct tg *s, struct endpoint *e, int how);
void raw_close(struct tg *s, struct endpoint *e); /* after handle_close; see udp_close */
void raw_abort(struct tg *s, struct endpoint *e);
int raw_setopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t v);
int raw_getopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t *v);
void raw_addrs(
	const struct tg *s, const struct endpoint *e, struct tg_addr *local, struct tg_addr *peer);
void raw_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *out);
/* Gives every matching raw socket its copy; p stays the caller's, p->net is set. True: there is
 * one, whether or not its queue had room (what it had no room for is counted in discards). */
bool raw_input(struct tg *s, const struct tg_pkt *p, const struct ip_info *i);

#endif
