/** Tests of the sample: what it shows must be true. */
@NullMarked
package io.egressproxy.sample.feed;

import org.jspecify.annotations.NullMarked;
