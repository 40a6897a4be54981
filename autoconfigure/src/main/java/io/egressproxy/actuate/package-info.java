/**
 * What an operator sees through actuator. Free of actuator's own types, which moved between Spring Boot's generations.
 */
@NullMarked
package io.egressproxy.actuate;

import org.jspecify.annotations.NullMarked;
