/* Reading frames for the stepper: Ethernet, ARP, IPv4, ICMP, UDP, TCP. What is too short for its
 * own lengths is told as bytes. */
#include "step_packet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define ETHER_BYTES 14u
#define TYPE_IP4    0x0800
#define TYPE_ARP    0x0806
#define TYPE_IP6    0x86dd

static uint16_t be16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static uint32_t be32(const uint8_t *b)
{
	return (uint32_t)be16(b) << 16 | be16(b + 2);
}

static void read_tcp(struct packet *p, uint32_t l4_bytes)
{
	const uint8_t *b = p->bytes + p->l4_at;
	uint32_t head;

	if (p->here < p->l4_at + 20 || l4_bytes < 20) {
		return;
	}
	head = (uint32_t)(b[12] >> 4) * 4;
	if (head < 20 || head > l4_bytes || p->here < p->l4_at + head) {
		return;
	}
	p->tcp = true;
	p->src.port = be16(b);
	p->dst.port = be16(b + 2);
	p->seq = be32(b + 4);
	p->ack = be32(b + 8);
	p->flags = b[13];
	p->wnd = be16(b + 14);
	p->urg = be16(b + 18);
	p->opts = b + 20;
	p->opts_bytes = head - 20;
	p->text_at = p->l4_at + head;
	p->text_bytes = l4_bytes - head;
}

static void read_udp(struct packet *p, uint32_t l4_bytes)
{
	const uint8_t *b = p->bytes + p->l4_at;

	if (p->here < p->l4_at + 8 || l4_bytes < 8) {
		return;
	}
	p->udp = true;
	p->src.port = be16(b);
	p->dst.port = be16(b + 2);
	p->text_at = p->l4_at + 8;
	p->text_bytes = l4_bytes - 8;
}

static void read_ip(struct packet *p)
{
	const uint8_t *b = p->bytes + p->ip_at;
	uint32_t head, total;

	if (p->here < p->ip_at + 20 || b[0] >> 4 != 4) {
		return;
	}
	head = (uint32_t)(b[0] & 15) * 4;
	total = be16(b + 2);
	if (total == 0 && p->total > p->ip_at + UINT16_MAX) {
		total = p->total - p->ip_at; /* TG_CAP_BIG4 */
	}
	if (head < 20 || total < head || p->here < p->ip_at + head || p->total < p->ip_at + total) {
		return;
	}
	p->ip = true;
	p->tos = b[1];
	p->ttl = b[8];
	p->proto = b[9];
	p->src.ip = tg_ip4_of(be32(b + 12));
	p->dst.ip = tg_ip4_of(be32(b + 16));
	p->l4_at = p->ip_at + head;
	if (be16(b + 6) & 0x1fff) {
		return; /* a fragment that is not the first */
	}
	if (p->proto == 6) {
		read_tcp(p, total - head);
	} else if (p->proto == 17) {
		read_udp(p, total - head);
	} else if (p->proto == 1 && p->here >= p->l4_at + 8 && total >= head + 8) {
		p->icmp = true;
		p->text_at = p->l4_at + 8;
		p->text_bytes = total - head - 8;
	}
}

void packet_read(
	struct packet *p, enum tg_link link, const uint8_t *bytes, uint32_t here, uint32_t total)
{
	memset(p, 0, sizeof *p);
	p->bytes = bytes;
	p->here = here;
	p->total = total;
	p->link = link;
	p->ether_type = TYPE_IP4;
	if (link == TG_LINK_ETHERNET) {
		if (here < ETHER_BYTES) {
			return;
		}
		p->ether_type = be16(bytes + 12);
		p->ip_at = ETHER_BYTES;
	}
	if (p->ether_type == TYPE_IP4) {
		read_ip(p);
	}
	p->arp = p->ether_type == TYPE_ARP && here >= p->ip_at + 28;
}

/* ---- One line -------------------------------------------------------------------------------- */

static const char letters[] = "FSRP.UEW";

char *packet_flags(uint8_t flags, char buf[12])
{
	static const uint8_t order[] = {PACKET_FIN, PACKET_SYN, PACKET_RST, PACKET_PSH, PACKET_URG,
		PACKET_ECE, PACKET_CWR, PACKET_ACK};
	char *at = buf;

	for (unsigned i = 0; i < sizeof order; i++) {
		for (unsigned bit = 0; bit < 8 && (flags & order[i]); bit++) {
			if (order[i] == 1u << bit) {
				*at++ = letters[bit];
			}
		}
	}
	if (at == buf) {
		*at++ = '-';
	}
	*at = '\0';
	return buf;
}

bool packet_flags_parse(const char *text, uint8_t *out)
{
	*out = 0;
	if (strcmp(text, "-") == 0) {
		return true;
	}
	for (; *text != '\0'; text++) {
		const char *l = strchr(letters, *text);

		if (l == NULL) {
			return false;
		}
		*out = (uint8_t)(*out | 1u << (l - letters));
	}
	return true;
}

struct line {
	char *at, *end;
};

static void add(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *format, ...)
{
	size_t room = (size_t)(l->end - l->at);
	va_list ap;
	int n;

	if (room <= 1) {
		return;
	}
	va_start(ap, format);
	n = vsnprintf(l->at, room, format, ap);
	va_end(ap);
	if (n > 0) {
		l->at += (size_t)n < room ? (size_t)n : room - 1;
	}
}

static void add_sack(struct line *l, const uint8_t *o, uint8_t n, uint32_t isn)
{
	add(l, "sack");
	for (unsigned i = 2; i + 8 <= n; i += 8) {
		add(l, " %" PRIu32 ":%" PRIu32, be32(o + i) - isn, be32(o + i + 4) - isn);
	}
}

static void add_option(struct line *l, const uint8_t *o, uint8_t n, uint32_t peer_isn)
{
	if (o[0] == 2 && n == 4) {
		add(l, "mss %u", (unsigned)be16(o + 2));
	} else if (o[0] == 3 && n == 3) {
		add(l, "wscale %u", (unsigned)o[2]);
	} else if (o[0] == 4 && n == 2) {
		add(l, "sackOK");
	} else if (o[0] == 5) {
		add_sack(l, o, n, peer_isn);
	} else if (o[0] == 8 && n == 10) {
		add(l, "TS val %" PRIu32 " ecr %" PRIu32, be32(o + 2), be32(o + 6));
	} else {
		add(l, "option-%u", (unsigned)o[0]);
	}
}

/* NOPs tell nothing, but to a packet script. */
static void add_options(struct line *l, const struct packet *p, uint32_t peer_isn)
{
	bool some = false;

	for (uint32_t i = 0; i < p->opts_bytes && p->opts[i] != 0;) {
		uint8_t n = 1;

		if (p->opts[i] == 1 && p->with_nops) {
			add(l, some ? ",nop" : " <nop");
			some = true;
		} else if (p->opts[i] != 1) {
			n = i + 1 < p->opts_bytes ? p->opts[i + 1] : 0;
			if (n < 2 || i + n > p->opts_bytes) {
				add(l, some ? ",malformed" : " <malformed");
				some = true;
				break;
			}
			add(l, some ? "," : " <");
			add_option(l, p->opts + i, n, peer_isn);
			some = true;
		}
		i += n;
	}
	if (some) {
		add(l, ">");
	}
}

static void add_tcp(struct line *l, const struct packet *p, uint32_t isn, uint32_t peer_isn)
{
	static const char *const ecn[] = {"", "[ect1] ", "[ect0] ", "[ce] "};
	uint32_t seq = p->seq - isn;
	char flags[12];

	add(l, "%s%s %" PRIu32 ":%" PRIu32 "(%" PRIu32 ")", ecn[p->tos & 3],
		packet_flags(p->flags, flags), seq, seq + p->text_bytes, p->text_bytes);
	if (p->flags & PACKET_ACK) {
		add(l, " ack %" PRIu32, p->ack - peer_isn);
	}
	add(l, " win %u", (unsigned)p->wnd);
	if (p->flags & PACKET_URG) {
		add(l, " urg %u", (unsigned)p->urg);
	}
	add_options(l, p, peer_isn);
}

static void add_arp(struct line *l, const struct packet *p)
{
	const uint8_t *b = p->bytes + p->ip_at;
	struct tg_ip who = tg_ip4_of(be32(b + 14)), whom = tg_ip4_of(be32(b + 24));
	char text[2][16];

	tg_ip_format(&who, text[0]);
	tg_ip_format(&whom, text[1]);
	if (be16(b + 6) == 1) {
		add(l, "arp who has %s, tell %s", text[1], text[0]);
	} else {
		add(l, "arp %s is here, says it to %s", text[0], text[1]);
	}
}

void packet_text(const struct packet *p, uint32_t isn, uint32_t peer_isn, char *buf, size_t cap)
{
	struct line l = {buf, buf + cap};

	buf[0] = '\0';
	if (p->tcp) {
		add_tcp(&l, p, isn, peer_isn);
	} else if (p->udp) {
		add(&l, "udp (%" PRIu32 ")", p->text_bytes);
	} else if (p->icmp) {
		add(&l, "icmp type_%u code_%u", (unsigned)p->bytes[p->l4_at],
			(unsigned)p->bytes[p->l4_at + 1]);
	} else if (p->arp) {
		add_arp(&l, p);
	} else {
		add(&l, "%s, %" PRIu32 " bytes",
			p->ip                       ? "an IP packet"
			: p->ether_type == TYPE_IP6 ? "an IPv6 packet"
						    : "a frame",
			p->total);
	}
}
