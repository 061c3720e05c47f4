/* Packet scripts: packetdrill's language run against a fresh instance in virtual time.
 *
 * A script injects packets (`<`), expects packets (`>`), makes socket calls with expected results,
 * at absolute, relative, arbitrary or ranged times. One that holds `//@` comments can also look
 * inside: states, drop reasons, counters. No operating system, no allocation: the caller gives
 * memory and text. tests/drill/README.md describes the language. */
#ifndef TAPGLASS_DRILL_H
#define TAPGLASS_DRILL_H

#include "tapglass.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Memory for the script itself: bytes that tg_drill_run needs as scratch. */
#define TG_DRILL_SCRATCH_BYTES (4u << 20)

/* A word that stands for something else: -D NAME=VALUE. The texts are the caller's, and stay while
 * scripts run. */
struct tg_drill_define {
	const char *name, *value;
	uint32_t name_bytes, value_bytes;
};
#define TG_DRILL_DEFINES 32u

struct tg_drill_options {
	const char *name;             /* of the script, for messages */
	uint32_t local_ip, remote_ip; /* host order - 192.168.0.1, 192.0.2.1 */
	uint8_t prefix_len;           /* of the local address - 16 */
	uint32_t mtu;                 /* bytes - 1500 */
	uint32_t tolerance_us;        /* between the time scripted and the time seen - 1000 */
	bool tolerance_fixed;         /* a script's own --tolerance_usecs does not count - false */
	uint32_t tolerance_permille;  /* the same, of the time since the line before; the larger
					 counts - 0 */
	bool ts_unchecked;            /* TS val of what is sent does not matter - false */
	bool strict_segments;         /* a line is one segment, never several - false */
	bool dry_run;                 /* read, not run - false */
	bool skip_commands; /* `commands` that are not understood are passed over - false */
	bool note_rules;    /* of the instance: tg_rules_note - false */
	uint16_t bind_port, connect_port; /* - 8080 both */
	struct tg_drill_define define[TG_DRILL_DEFINES];
	uint32_t n_defines;

	/* Of the instance: page-aligned, zero, untouched by others during the run; 64 MiB do for
	 * any script. Left as the run left it. */
	void *mem;
	size_t mem_bytes;
	/* Aligned for any type, need not be zero, TG_DRILL_SCRATCH_BYTES or more. */
	void *scratch;
	size_t scratch_bytes;
};

enum tg_drill_verdict {
	TG_DRILL_PASSED,
	TG_DRILL_FAILED, /* the stack did something else */
	TG_DRILL_ERROR   /* the script is not understood, or cannot be run */
};

struct tg_drill_result {
	enum tg_drill_verdict verdict;
	struct tg *instance;   /* as the run left it, in its memory; NULL: none was made */
	uint32_t line, column; /* from 1; of the event that failed or the place not understood */
	char message[256];     /* what is wrong, one line, without file and place */
	char wanted[512];      /* what the script says, or "" */
	char got[512];         /* what came instead, or "" */
	const char *source;    /* the script's line, in the script's text; not NUL-terminated */
	uint32_t source_bytes;
	char printed[512]; /* what print() said, lines each ended by '\n'; or "" */
	char trace[4096]; /* what the stack did last, lines each ended by '\n'; "" when it passed */
};

/* The values behind the dashes; memory and name are the caller's to set. */
TG_API void tg_drill_options_default(struct tg_drill_options *o);
/* Takes "--name=value" as a script or a command line gives it: local_ip, remote_ip, netmask_ip,
 * mtu, tolerance_usecs, tolerance_percent, tcp_ts_tick_usecs, bind_port, connect_port,
 * ip_version=ipv4, strict_segments, dry_run, define=NAME=VALUE (the text is then kept), and those
 * of packetdrill that mean nothing here. False: not understood. */
TG_API bool tg_drill_option(struct tg_drill_options *o, const char *text, size_t n);
/* Runs the script in text. The verdict is also in r. */
TG_API enum tg_drill_verdict tg_drill_run(
	const struct tg_drill_options *o, const char *text, size_t n, struct tg_drill_result *r);

#ifdef __cplusplus
}
#endif
#endif
