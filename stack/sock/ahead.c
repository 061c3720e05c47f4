/* Frames that are about to be input: what can be fetched for them ahead. TCP alone has so many
 * sockets that it matters. */
#include "ip/ip.h"
#include "tcp/tcp_user.h"
#include "wire/ip4.h"

#define PORTS_BYTES 4u

unsigned tg_input_ahead_max(const struct tg *s)
{
	return s->many ? TCP_AHEAD_MAX : 1;
}

void tg_input_ahead(const struct tg *s, unsigned netif, struct tg_pkt *const *p, unsigned n)
{
	uint32_t hash[TCP_AHEAD_MAX];
	unsigned k = 0;

	if (!s->many)
		return;
	for (unsigned i = 0; i < n && k < TCP_AHEAD_MAX; i++) {
		struct ip_info info;
		uint32_t bytes;
		const uint8_t *header = ip_peek(s, netif, p[i], &info, &bytes);

		if (header && info.proto == IP_PROTO_TCP && bytes >= PORTS_BYTES)
			hash[k++] = tcp_ahead_hash(s, &info, header);
	}
	tcp_ahead(s, hash, k);
}
