//! `braintune report`: one self-contained `report.html` from a results folder.
