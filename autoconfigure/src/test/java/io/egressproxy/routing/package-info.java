/** Tests of the one decision, case by case. */
@NullMarked
package io.egressproxy.routing;

import org.jspecify.annotations.NullMarked;
