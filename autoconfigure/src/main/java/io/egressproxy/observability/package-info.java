/**
 * What is seen of the system from outside: its meters. Hears of events, and knows nothing of what causes them.
 */
@NullMarked
package io.egressproxy.observability;

import org.jspecify.annotations.NullMarked;
