/* SPDX-License-Identifier: Apache-2.0
 *
 * What README's example leaves to its reader: the call itself. */
#include <breaker/breaker.h>

enum breaker_outcome call_the_model(void);

enum breaker_outcome
call_the_model(void)
{
    return BREAKER_SUCCESS;
}
