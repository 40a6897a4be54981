/** What an operator sees through actuator. */
@NullMarked
package io.egressproxy.actuate;

import org.jspecify.annotations.NullMarked;
