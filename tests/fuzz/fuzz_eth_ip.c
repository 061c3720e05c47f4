/* Fuzz: a frame through Ethernet, ARP, IPv4 and UDP headers. Whatever parses is emitted and parsed
 * again, and has to come back the same. Checksums are tried as they come, then repaired, so that
 * what lies behind them is reached. */
#include <stdlib.h>

#include "base/be.h"
#include "fuzz.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/ip4.h"
#include "wire/udp.h"

#define MACS "024201020304 0242a0b0c0d0 "

const char *const fuzz_seeds[] = {
	MACS "0806 0001080006040001 0242a0b0c0d0c0a84502 000000000000c0a84501",
	MACS "0024 aaaa03000000 0806 0001080006040002 024201020304c0a84501 0242a0b0c0d0c0a84502",
	MACS "0800 45000029000040004011b8ab c0a80001c0a800c7 cf8400350015da69 "
	     "68656c6c6f2c20776f726c640a",
	MACS "0800 4c000034000100000101374e c0a84501c0a84502 "
	     "94040000 0707040a000001 01 4408050000000000 83070400000000 00 00000000",
	MACS "0800 451005dcabcd20b93f119e26 c0a84501c0a84502 0102030405060708",
	MACS "86dd 6000000000000000",
	NULL,
};

static void udp_check(const uint8_t *b, uint32_t n)
{
	struct udp_hdr h;
	uint8_t out[UDP_HDR_BYTES];

	if (udp_parse(b, n, &h) != TG_DROP_NONE)
		return;
	FUZZ_CHECK(h.bytes >= UDP_HDR_BYTES && h.bytes <= n);
	udp_emit(out, &h);
	FUZZ_CHECK(!memcmp(out, b, sizeof(out)));
}

static bool ip4_same(const struct ip4_hdr *a, const struct ip4_hdr *b)
{
	return a->src == b->src && a->dst == b->dst && a->total_bytes == b->total_bytes &&
	       a->id == b->id && a->frag_off == b->frag_off && a->hdr_bytes == b->hdr_bytes &&
	       a->tos == b->tos && a->ttl == b->ttl && a->proto == b->proto && a->df == b->df &&
	       a->mf == b->mf && !a->options == !b->options &&
	       (!a->options || !memcmp(a->options, b->options, a->hdr_bytes - IP4_HDR_BYTES));
}

/* Emits h in front of room for its body, parses that, compares. */
static void ip4_round_trip(const struct ip4_hdr *h)
{
	uint8_t *b = calloc(1, h->total_bytes);
	struct ip4_hdr h2;

	FUZZ_CHECK(b);
	ip4_emit(b, h);
	FUZZ_CHECK(ip4_parse(b, h->total_bytes, &h2) == TG_DROP_NONE);
	FUZZ_CHECK(ip4_same(h, &h2));
	FUZZ_CHECK(ip4_parse_quoted(b, h->hdr_bytes, &h2) && ip4_same(h, &h2));
	free(b);
}

/* Fragment options are options again, and all of them are for fragments. */
static void ip4_options_check(const struct ip4_hdr *h)
{
	uint8_t out[40], again[40];
	uint32_t n;
	struct ip4_hdr f = *h;

	n = ip4_options_for_fragments(h->options, h->hdr_bytes - IP4_HDR_BYTES, out);
	FUZZ_CHECK(n % 4 == 0 && n <= h->hdr_bytes - IP4_HDR_BYTES);
	FUZZ_CHECK(ip4_options_for_fragments(out, n, again) == n && !memcmp(out, again, n));
	f.hdr_bytes = (uint8_t)(IP4_HDR_BYTES + n);
	f.options = n ? out : NULL;
	ip4_round_trip(&f);
}

static void ip4_check(const uint8_t *b, uint32_t n)
{
	struct ip4_hdr h;

	if (ip4_parse_quoted(b, n, &h))
		FUZZ_CHECK(h.hdr_bytes >= IP4_HDR_BYTES && h.hdr_bytes <= n);
	if (ip4_parse(b, n, &h) != TG_DROP_NONE)
		return;
	FUZZ_CHECK(h.hdr_bytes >= IP4_HDR_BYTES && h.hdr_bytes <= h.total_bytes);
	FUZZ_CHECK(h.total_bytes <= n);
	ip4_round_trip(&h);
	if (h.options)
		ip4_options_check(&h);
	if (h.proto == IP_PROTO_UDP && !h.frag_off)
		udp_check(b + h.hdr_bytes, h.total_bytes - h.hdr_bytes);
}

static void ip4_repaired(const uint8_t *b, uint32_t n)
{
	uint8_t *c = fuzz_copy(b, n);

	if (n >= IP4_HDR_BYTES && (c[0] & 15u) * 4 >= IP4_HDR_BYTES && (c[0] & 15u) * 4 <= n) {
		be16_store(c + 10, 0);
		be16_store(c + 10, csum_finish(csum_add_scalar(c, (c[0] & 15u) * 4, 0)));
		ip4_check(c, n);
		be16_store(c + 2, (uint16_t)min_u32(n, IP4_MAX_BYTES));
		be16_store(c + 10, 0);
		be16_store(c + 10, csum_finish(csum_add_scalar(c, (c[0] & 15u) * 4, 0)));
		ip4_check(c, n);
	}
	free(c);
}

static void arp_check(const uint8_t *b, uint32_t n)
{
	struct arp_msg m;
	uint8_t out[ARP_BYTES];

	if (arp_parse(b, n, &m) != TG_DROP_NONE)
		return;
	arp_emit(out, &m);
	FUZZ_CHECK(!memcmp(out, b, ARP_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eth_hdr h, h2;
	uint8_t out[ETH_HDR_BYTES];
	uint32_t n;

	if (size > 70000 || eth_parse(data, (uint32_t)size, &h) != TG_DROP_NONE)
		return 0;
	FUZZ_CHECK((h.hdr_bytes == 14 || h.hdr_bytes == 22) && h.hdr_bytes <= size);
	FUZZ_CHECK(!eth_is_group(h.src));
	eth_emit(out, h.dst, h.src, h.type);
	if (h.hdr_bytes == ETH_HDR_BYTES) {
		FUZZ_CHECK(!memcmp(out, data, sizeof(out)));
		FUZZ_CHECK(eth_parse(out, sizeof(out), &h2) == TG_DROP_NONE);
		FUZZ_CHECK(h2.type == h.type);
	}
	n = (uint32_t)size - h.hdr_bytes;
	if (h.type == ETH_TYPE_ARP)
		arp_check(data + h.hdr_bytes, n);
	if (h.type == ETH_TYPE_IP4) {
		ip4_check(data + h.hdr_bytes, n);
		ip4_repaired(data + h.hdr_bytes, n);
	}
	return 0;
}
