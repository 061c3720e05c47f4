/* Fuzz: an ICMP message and, in an error, the header that it quotes. Whatever parses is emitted and
 * has to parse to the same. The checksum is tried as it comes, then waived. */
#include <stdlib.h>

#include "fuzz.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/tcp_wire.h"
#include "wire/udp.h"

#define QUOTE "450005dc1c46400040060d82c0a84501c0a845029c40005011223344"

const char *const fuzz_seeds[] = {
	"08007fca12340001 6162636465666768696a6b",
	"000087ca12340001 6162636465666768696a6b",
	"0304168d00000578" QUOTE,
	"03031c0600000000" QUOTE,
	"0c00ff0814000000" QUOTE,
	"0b01000000000000" QUOTE,
	NULL,
};

static void quote_check(const struct icmp_msg *m)
{
	struct ip4_hdr h;
	struct tcp_seg g;
	struct udp_hdr u;
	uint32_t left;

	if (!icmp_is_error(m->type) || !ip4_parse_quoted(m->body, m->body_bytes, &h))
		return;
	FUZZ_CHECK(h.hdr_bytes >= IP4_HDR_BYTES && h.hdr_bytes <= m->body_bytes);
	left = m->body_bytes - h.hdr_bytes;
	if (left >= 8)
		tcp_parse_quoted(m->body + h.hdr_bytes, &g);
	if (udp_parse(m->body + h.hdr_bytes, left, &u) == TG_DROP_NONE)
		FUZZ_CHECK(u.bytes <= left);
}

static void round_trip(const struct icmp_msg *m)
{
	uint32_t n = ICMP_HDR_BYTES + m->body_bytes;
	uint8_t *b = malloc(n);
	struct icmp_msg m2;

	FUZZ_CHECK(b);
	memcpy(b + ICMP_HDR_BYTES, m->body, m->body_bytes);
	icmp_emit(b, m, csum_add_wide(m->body, m->body_bytes, 0));
	FUZZ_CHECK(icmp_parse(b, n, false, csum_add_scalar, &m2) == TG_DROP_NONE);
	FUZZ_CHECK(m->type == m2.type && m->code == m2.code && m->id == m2.id && m->seq == m2.seq);
	FUZZ_CHECK(m->mtu == m2.mtu && m->pointer == m2.pointer);
	FUZZ_CHECK(m->body_bytes == m2.body_bytes && m2.body == b + ICMP_HDR_BYTES);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct icmp_msg m;
	uint32_t n = (uint32_t)size;
	enum tg_drop wide, scalar;

	if (size > 70000)
		return 0;
	wide = icmp_parse(data, n, false, csum_add_wide, &m);
	scalar = icmp_parse(data, n, false, csum_add_scalar, &m);
	FUZZ_CHECK(wide == scalar);
	FUZZ_CHECK((wide == TG_DROP_ICMP_SHORT) == (n < ICMP_HDR_BYTES));
	if (icmp_parse(data, n, true, csum_add_wide, &m) != TG_DROP_NONE)
		return 0;
	FUZZ_CHECK(m.body == data + ICMP_HDR_BYTES && m.body_bytes == n - ICMP_HDR_BYTES);
	quote_check(&m);
	round_trip(&m);
	return 0;
}
