/** Tests of the sample: what it shows must be true. */
@NullMarked
package io.egressproxy.sample.exchange;

import org.jspecify.annotations.NullMarked;
