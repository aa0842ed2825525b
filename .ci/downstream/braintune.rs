use braintune::encoding::{Alphas, Delays};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (alphas, delays): (Alphas, Delays) = ("logspace:1:4:15".parse()?, "1,2,3,4".parse()?);
    assert_eq!((alphas.as_slice().len(), delays.as_slice().len()), (15, 4));
    assert!(braintune::device::by_name("flex").is_some());
    Ok(())
}
