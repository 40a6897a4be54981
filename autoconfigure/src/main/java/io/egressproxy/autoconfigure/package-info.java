/**
 * What Spring Boot sees: conditions, beans and failure analysis, without logic of its own. Types that differ between
 * generations of Spring Boot are named in the packages below it only.
 */
@NullMarked
package io.egressproxy.autoconfigure;

import org.jspecify.annotations.NullMarked;
