package io.egressproxy.sample;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.actuate.audit.AuditEventRepository;
import org.springframework.boot.actuate.audit.InMemoryAuditEventRepository;
import org.springframework.boot.actuate.endpoint.SanitizingFunction;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;
import org.springframework.context.annotation.Bean;

/** The sample; its profiles are described in {@code application.yml}. */
@SpringBootApplication(proxyBeanMethods = false)
@ConfigurationPropertiesScan
public class SampleApplication {

    /**
     * Starts the sample.
     *
     * @param args as for every Spring Boot application
     */
    public static void main(String[] args) {
        SpringApplication.run(SampleApplication.class, args);
    }

    /** Where a bean of this type is, each request to the proxy service, each fallback and more are kept as audit events. */
    @Bean
    AuditEventRepository auditEventRepository() {
        return new InMemoryAuditEventRepository();
    }

    /** The library keeps the passwords of its own settings out of actuator; those of the sample's own are the sample's business. */
    @Bean
    SanitizingFunction sanitizingFunction() {
        return SanitizingFunction.sanitizeValue().ifLikelySensitive();
    }
}
