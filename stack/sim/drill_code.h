/* The packet-script engine: code in %{ }%, as a tree. */
#ifndef TG_SIM_DRILL_CODE_H
#define TG_SIM_DRILL_CODE_H

#include "sim/drill.h"

enum code_op {
	CODE_NONE,
	/* statements */
	CODE_ASSERT, /* a; b: what is said when it is not so, or NULL */
	CODE_PRINT,  /* a: a list */
	CODE_SET,    /* variable num = a */
	/* values */
	CODE_NUMBER,
	CODE_STRING,
	CODE_FIELD, /* num: of TCP_INFO */
	CODE_VAR,   /* num */
	CODE_LIST,  /* a and what hangs on it by next */
	CODE_ABS,   /* a: the list of arguments */
	CODE_MIN,
	CODE_MAX,
	CODE_INT,
	/* of one */
	CODE_NOT,
	CODE_NEG,
	CODE_INVERT,
	/* of two */
	CODE_OR,
	CODE_AND,
	CODE_EQ,
	CODE_NE,
	CODE_LT,
	CODE_LE,
	CODE_GT,
	CODE_GE,
	CODE_IN,
	CODE_NOT_IN,
	CODE_BIT_OR,
	CODE_BIT_XOR,
	CODE_BIT_AND,
	CODE_SHL,
	CODE_SHR,
	CODE_ADD,
	CODE_SUB,
	CODE_MUL,
	CODE_DIV,
	CODE_FLOOR,
	CODE_MOD,
	CODE_POW
};

/* drill_eval.c: a field of TCP_INFO; -1: there is none of that name. */
int drill_code_field(const char *w, uint32_t n);
/* Names of states, of states of congestion control, of options; False, True, None. */
bool drill_code_constant(const char *w, uint32_t n, int64_t *out);

#endif
