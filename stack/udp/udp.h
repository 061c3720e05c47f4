/* UDP (RFC 768, RFC 1122 4.1): datagram sockets. Entry points for sock/. Results and errors are
 * those of the functions of tapglass.h that they serve; every endpoint e is one that udp_open made.
 */
#ifndef TG_UDP_H
#define TG_UDP_H

#include "ip/ip.h"

/* Makes the tables and registers the transport. 0 or -TG_ENOMEM. */
int udp_init(struct tg *s);
struct endpoint *udp_open(struct tg *s, uint64_t cookie); /* NULL: no memory */
int udp_bind(struct tg *s, struct endpoint *e, const struct tg_addr *a);
int udp_connect(
	struct tg *s, struct endpoint *e, const struct tg_addr *peer); /* ip any: disconnect */
int64_t udp_sendto(struct tg *s, struct endpoint *e, const void *data, size_t n, unsigned flags,
	const struct tg_dgram *to);
int64_t udp_recvfrom(struct tg *s, struct endpoint *e, void *data, size_t n, unsigned flags,
	struct tg_dgram *from);
int udp_shutdown(struct tg *s, struct endpoint *e, int how);
/* After handle_close. Datagrams that wait to be sent still go out; e is gone for the caller. */
void udp_close(struct tg *s, struct endpoint *e);
/* The same, but what waits is dropped. */
void udp_abort(struct tg *s, struct endpoint *e);
int udp_setopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t v);
int udp_getopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t *v);
void udp_addrs(
	const struct tg *s, const struct endpoint *e, struct tg_addr *local, struct tg_addr *peer);
void udp_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *out);

#endif
