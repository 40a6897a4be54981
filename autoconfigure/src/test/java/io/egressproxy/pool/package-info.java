/** Tests of pools in virtual time: selection, what failures do, and what is left when all are out. */
@NullMarked
package io.egressproxy.pool;

import org.jspecify.annotations.NullMarked;
