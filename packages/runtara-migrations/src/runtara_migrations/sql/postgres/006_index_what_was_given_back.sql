-- What is due and was given back in vain: nobody's, though the clock be set back to before that.
--
-- Its place in idx_instances_due is then yet to come. There are never many such rows.

CREATE INDEX idx_instances_given_back ON instances (wake_claim_until)
WHERE status = 'suspended' AND wake_claim_by IS NULL AND sleep_until <= wake_claim_until;
