/* x/frame: the headers of a frame, field by field, with the bytes they stand in. */
#include <inttypes.h>
#include <stdio.h>

#include "step_packet.h"
#include "util.h"

/* One field: the bytes from `at`, n of them, and what they say. */
static void field(const struct packet *p, uint32_t at, uint32_t n, const char *name,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
static void field(
	const struct packet *p, uint32_t at, uint32_t n, const char *name, const char *format, ...)
{
	char bytes[32];
	int used = 0;
	va_list ap;

	for (uint32_t i = 0; i < n && i < 8; i++) {
		used += snprintf(bytes + used, sizeof bytes - (size_t)used, "%02x ",
			(unsigned)p->bytes[at + i]);
	}
	snprintf(bytes + used, sizeof bytes - (size_t)used, n > 8 ? "..." : "");
	printf("  %4" PRIu32 "  %-27s  %-16s ", at, bytes, name);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

static uint32_t number(const struct packet *p, uint32_t at, uint32_t n)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < n; i++) {
		v = v << 8 | p->bytes[at + i];
	}
	return v;
}

static void plain(const struct packet *p, uint32_t at, uint32_t n, const char *name)
{
	field(p, at, n, name, "%" PRIu32, number(p, at, n));
}

static void address(const struct packet *p, uint32_t at, const char *name)
{
	struct tg_ip ip = tg_ip4_of(number(p, at, 4));
	char text[16];

	field(p, at, 4, name, "%s", tg_ip_format(&ip, text));
}

static void mac(const struct packet *p, uint32_t at, const char *name)
{
	char text[18];

	field(p, at, 6, name, "%s", format_mac(p->bytes + at, text));
}

static void dissect_ethernet(const struct packet *p)
{
	puts("Ethernet (894)");
	mac(p, 0, "destination");
	mac(p, 6, "source");
	field(p, 12, 2, "type", "0x%04x%s", (unsigned)p->ether_type,
		p->ether_type == 0x0800   ? " IPv4"
		: p->ether_type == 0x0806 ? " ARP"
					  : "");
}

static void dissect_arp(const struct packet *p)
{
	uint32_t at = p->ip_at;

	puts("ARP (826)");
	plain(p, at, 2, "hardware");
	field(p, at + 2, 2, "protocol", "0x%04x", (unsigned)number(p, at + 2, 2));
	plain(p, at + 4, 1, "hardware length");
	plain(p, at + 5, 1, "protocol length");
	field(p, at + 6, 2, "operation", "%s",
		number(p, at + 6, 2) == 1   ? "request"
		: number(p, at + 6, 2) == 2 ? "reply"
					    : "?");
	mac(p, at + 8, "sender MAC");
	address(p, at + 14, "sender address");
	mac(p, at + 18, "target MAC");
	address(p, at + 24, "target address");
}

static void dissect_ip(const struct packet *p)
{
	uint32_t at = p->ip_at, frag = number(p, at + 6, 2);

	puts("IPv4 (791 3.1)");
	field(p, at, 1, "version, IHL", "%" PRIu32 ", %" PRIu32 " bytes", number(p, at, 1) >> 4,
		p->l4_at - at);
	field(p, at + 1, 1, "DSCP, ECN", "%u, %u", (unsigned)p->tos >> 2, (unsigned)p->tos & 3);
	plain(p, at + 2, 2, "total length");
	plain(p, at + 4, 2, "identification");
	field(p, at + 6, 2, "flags, offset", "%s%s%" PRIu32, frag & 0x4000 ? "DF " : "",
		frag & 0x2000 ? "MF " : "", (frag & 0x1fff) * 8);
	plain(p, at + 8, 1, "TTL");
	field(p, at + 9, 1, "protocol", "%u%s", (unsigned)p->proto,
		p->proto == 6    ? " TCP"
		: p->proto == 17 ? " UDP"
		: p->proto == 1  ? " ICMP"
				 : "");
	field(p, at + 10, 2, "checksum", "0x%04x", (unsigned)number(p, at + 10, 2));
	address(p, at + 12, "source");
	address(p, at + 16, "destination");
	if (p->l4_at > at + 20) {
		field(p, at + 20, p->l4_at - at - 20, "options", "%" PRIu32 " bytes",
			p->l4_at - at - 20);
	}
}

static void tcp_option(const struct packet *p, uint32_t at, uint32_t n)
{
	switch (p->bytes[at]) {
	case 2: field(p, at, n, "option MSS", "%" PRIu32, n == 4 ? number(p, at + 2, 2) : 0); break;
	case 3:
		field(p, at, n, "window scale", "shift %" PRIu32,
			n == 3 ? number(p, at + 2, 1) : 0);
		break;
	case 4: field(p, at, n, "SACK permitted", " "); break;
	case 5:
		for (uint32_t i = 2; i + 8 <= n; i += 8) {
			field(p, at + i, 8, "SACK block", "%" PRIu32 " to %" PRIu32,
				number(p, at + i, 4), number(p, at + i + 4, 4));
		}
		break;
	case 8:
		field(p, at, n, "timestamps", "TSval %" PRIu32 ", TSecr %" PRIu32,
			n == 10 ? number(p, at + 2, 4) : 0, n == 10 ? number(p, at + 6, 4) : 0);
		break;
	default: field(p, at, n, "option", "kind %u", (unsigned)p->bytes[at]);
	}
}

static void dissect_tcp(const struct packet *p)
{
	uint32_t at = p->l4_at, opts = at + 20, end = opts + p->opts_bytes;
	char flags[12];

	puts("TCP (9293 3.1)");
	plain(p, at, 2, "source port");
	plain(p, at + 2, 2, "destination port");
	plain(p, at + 4, 4, "SEG.SEQ");
	plain(p, at + 8, 4, "SEG.ACK");
	field(p, at + 12, 1, "data offset", "%u bytes", (unsigned)(p->bytes[at + 12] >> 4) * 4);
	field(p, at + 13, 1, "control bits", "%s", packet_flags(p->flags, flags));
	plain(p, at + 14, 2, "window");
	field(p, at + 16, 2, "checksum", "0x%04x", (unsigned)number(p, at + 16, 2));
	plain(p, at + 18, 2, "urgent pointer");
	while (opts < end) {
		uint32_t n = 1;

		if (p->bytes[opts] == 0) {
			field(p, opts, end - opts, "end of options", " ");
			break;
		}
		if (p->bytes[opts] == 1) {
			field(p, opts, 1, "NOP", " ");
		} else {
			n = opts + 1 < end ? p->bytes[opts + 1] : 0;
			if (n < 2 || n > end - opts) {
				field(p, opts, end - opts, "malformed", " ");
				break;
			}
			tcp_option(p, opts, n);
		}
		opts += n;
	}
}

static void dissect_text(const struct packet *p)
{
	uint32_t n = p->text_bytes, here = p->here > p->text_at ? p->here - p->text_at : 0;

	if (p->text_at == 0 || n == 0) {
		return;
	}
	printf("%s, %" PRIu32 " bytes\n", p->icmp ? "data" : "text", n);
	n = n < here ? n : here;
	for (uint32_t i = 0; i < n && i < 64; i += 16) {
		printf("  %4" PRIu32 "  ", p->text_at + i);
		for (uint32_t k = i; k < i + 16; k++) {
			if (k < n) {
				printf("%02x ", (unsigned)p->bytes[p->text_at + k]);
			} else {
				printf("   ");
			}
		}
		for (uint32_t k = i; k < n && k < i + 16; k++) {
			uint8_t c = p->bytes[p->text_at + k];

			putchar(c >= 0x20 && c < 0x7f ? c : '.');
		}
		putchar('\n');
	}
}

void packet_dissect(const struct packet *p)
{
	if (p->link == TG_LINK_ETHERNET && p->here >= 14) {
		dissect_ethernet(p);
	}
	if (p->arp) {
		dissect_arp(p);
	}
	if (p->ip) {
		dissect_ip(p);
	}
	if (p->tcp) {
		dissect_tcp(p);
	} else if (p->udp) {
		puts("UDP (768)");
		plain(p, p->l4_at, 2, "source port");
		plain(p, p->l4_at + 2, 2, "destination port");
		plain(p, p->l4_at + 4, 2, "length");
		field(p, p->l4_at + 6, 2, "checksum", "0x%04x",
			(unsigned)number(p, p->l4_at + 6, 2));
	} else if (p->icmp) {
		puts("ICMP (792)");
		plain(p, p->l4_at, 1, "type");
		plain(p, p->l4_at + 1, 1, "code");
		field(p, p->l4_at + 2, 2, "checksum", "0x%04x",
			(unsigned)number(p, p->l4_at + 2, 2));
		plain(p, p->l4_at + 4, 4, "rest of header");
	}
	dissect_text(p);
}
